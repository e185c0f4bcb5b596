/** Queries of points and of tags, and those that are being answered. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { parseQuery, type QueryDesk, QueryRefused } from '../../query/index.ts';
import type { Clock } from '../../runtime/index.ts';
import { goneSignal, sendJson, sendNothing } from './answers.ts';
import { textOf } from './body-text.ts';
import type { KairosRoute } from './routes.ts';

export function queryRoutes(desk: QueryDesk, clock: Clock): readonly KairosRoute[] {
  const answer = async (text: string, request: FastifyRequest, reply: FastifyReply) => {
    const query = parseQuery(text, clock.now());
    return sendJson(request, reply, await desk.answer(text, query, goneSignal(reply)));
  };
  return [
    {
      path: '/datapoints/query',
      group: 'QUERY',
      summary: 'Answers a query',
      preflight: true,
      handlers: {
        POST: async (request, reply) => answer(textOf(request), request, reply),
        async GET(request, reply) {
          const { query } = request.query as { query?: string };
          if (query === undefined) {
            throw new QueryRefused('query json must not be null or empty');
          }
          return answer(query, request, reply);
        },
      },
    },
    {
      path: '/datapoints/query/tags',
      group: 'QUERY',
      summary: 'The tags of the series that a query names',
      preflight: true,
      handlers: {
        async POST(request, reply) {
          const text = textOf(request);
          const query = parseQuery(text, clock.now());
          return sendJson(request, reply, await desk.tags(text, query, goneSignal(reply)));
        },
      },
    },
    {
      path: '/admin/runningqueries',
      summary: 'Queries that are being answered, and how many wait',
      handlers: {
        async GET(request, reply) {
          const running = desk.running();
          const shown = running.queries.flatMap(({ hash, query, text }) =>
            query.metrics.map(
              ({ name }) =>
                `{"query hash":"${hash}","metric name":${JSON.stringify(name)},"query JSON":${jsonOf(text)}}`,
            ),
          );
          const text = `{"queries":[${shown.join(',')}],"queries waiting":${running.waiting}}`;
          return sendJson(request, reply, text);
        },
      },
    },
    {
      path: '/admin/killquery/:hash',
      summary: 'Stops a query that is being answered',
      handlers: {
        async GET(request, reply) {
          desk.kill((request.params as { hash: string }).hash);
          return sendNothing(reply);
        },
      },
    },
  ];
}

/** What was asked may be lenient JSON; an answer may not. */
function jsonOf(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text));
  } catch {
    return JSON.stringify(text);
  }
}
