/** Names of metrics and tags. Those of tags were dropped in KairosDB 1.3; they are answered as 1.2 did. */
import { quote } from '../../query/index.ts';
import { sendJson } from './answers.ts';
import type { KairosPort } from './port.ts';
import type { KairosRoute } from './routes.ts';

export function nameRoutes(store: KairosPort): readonly KairosRoute[] {
  const allTags = async (take: (name: string, value: string) => string): Promise<string[]> => {
    await store.connect();
    const found = new Set<string>();
    const always = { fromMs: Number.NEGATIVE_INFINITY, toMs: Number.POSITIVE_INFINITY };
    for await (const metrics of store.rows.metricNames()) {
      for (const metric of metrics) {
        for await (const rows of store.findRows({ metric, ...always })) {
          for (const { row } of rows) {
            for (const [name, value] of row.tags) found.add(take(name, value));
          }
        }
      }
    }
    return [...found].sort();
  };
  return [
    {
      path: '/metricnames',
      group: 'QUERY',
      summary: 'Names of metrics',
      preflight: true,
      handlers: {
        async GET(request, reply) {
          await store.connect();
          const { prefix } = request.query as { prefix?: string };
          const names: string[] = [];
          for await (const page of store.rows.metricNames(prefix)) names.push(...page);
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
          sendJson(request, reply, resultsText(await allTags((name) => name))),
      },
    },
    {
      path: '/tagvalues',
      group: 'QUERY',
      summary: 'Values of tags',
      handlers: {
        GET: async (request, reply) =>
          sendJson(request, reply, resultsText(await allTags((_name, value) => value))),
      },
    },
  ];
}

export const resultsText = (names: readonly string[]): string =>
  `{"results":[${names.map(quote).join(',')}]}`;
