/** Names of metrics and tags. Those of tags were dropped in KairosDB 1.3; they are answered as 1.2 did. */
import type { FastifyReply } from 'fastify';
import { type QueryDesk, quote } from '../../query/index.ts';
import { goneSignal, sendJson } from './answers.ts';
import type { KairosPort } from './port.ts';
import type { KairosRoute } from './routes.ts';

export function nameRoutes(store: KairosPort, desk: QueryDesk): readonly KairosRoute[] {
  const allTags = (
    reply: FastifyReply,
    what: string,
    take: (name: string, value: string) => string,
  ): Promise<string[]> =>
    desk.lookUp(what, goneSignal(reply), async (guarded, signal) => {
      const found = new Set<string>();
      const always = { fromMs: Number.NEGATIVE_INFINITY, toMs: Number.POSITIVE_INFINITY };
      for await (const metrics of store.metricNames()) {
        for (const metric of metrics) {
          signal.throwIfAborted();
          for await (const rows of guarded.findRows({ metric, ...always })) {
            for (const { row } of rows) {
              for (const [name, value] of row.tags) found.add(take(name, value));
            }
          }
        }
      }
      return [...found].sort();
    });
  return [
    {
      path: '/metricnames',
      group: 'QUERY',
      summary: 'Names of metrics',
      preflight: true,
      handlers: {
        async GET(request, reply) {
          const { prefix } = request.query as { prefix?: string };
          const names = await desk.lookUp('metricnames', goneSignal(reply), async (_, signal) => {
            const found: string[] = [];
            for await (const page of store.metricNames(prefix)) {
              signal.throwIfAborted();
              found.push(...page);
            }
            return found;
          });
          return sendJson(request, reply, resultsText(names));
        },
      },
    },
    {
      path: '/tagnames',
      group: 'QUERY',
      summary: 'Names of tags',
      handlers: {
        GET: async (request, reply) =>
          sendJson(request, reply, resultsText(await allTags(reply, 'tagnames', (name) => name))),
      },
    },
    {
      path: '/tagvalues',
      group: 'QUERY',
      summary: 'Values of tags',
      handlers: {
        GET: async (request, reply) =>
          sendJson(
            request,
            reply,
            resultsText(await allTags(reply, 'tagvalues', (_name, value) => value)),
          ),
      },
    },
  ];
}

export const resultsText = (names: readonly string[]): string =>
  `{"results":[${names.map(quote).join(',')}]}`;
