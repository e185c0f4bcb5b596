/** Queries of points and of tags. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { parseQuery, QueryRefused, runQuery, runTagsQuery } from '../../query/index.ts';
import { sendJson } from './answers.ts';
import type { KairosContext } from './plugin.ts';
import type { KairosRoute } from './routes.ts';

export function queryRoutes({ store, clock, logger }: KairosContext): readonly KairosRoute[] {
  const answer = async (text: string, request: FastifyRequest, reply: FastifyReply) => {
    const query = parseQuery(text, clock.now());
    await store.connect();
    const { parts, saved } = await runQuery(store, query);
    if (saved.length > 0) {
      const rejections = await store.write(saved);
      if (rejections.length > 0) {
        logger.warn({ rejections: rejections.slice(0, 3) }, 'save_as made points that are no good');
      }
    }
    return sendJson(request, reply, parts);
  };
  return [
    {
      path: '/datapoints/query',
      group: 'QUERY',
      summary: 'Answers a query',
      preflight: true,
      handlers: {
        POST: async (request, reply) => answer(String(request.body ?? ''), request, reply),
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
          const query = parseQuery(String(request.body ?? ''), clock.now());
          await store.connect();
          return sendJson(request, reply, await runTagsQuery(store, query));
        },
      },
    },
  ];
}
