/**
 * KairosDB 1.3's REST interface under `/api/v1`. Errors are its own (`{"errors":[…]}`), not problem JSON, because its
 * clients look for them.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { messageOf, RetriableError } from '../../model/index.ts';
import {
  featuresText,
  featureText,
  QueryDesk,
  QueryFailed,
  QueryRefused,
} from '../../query/index.ts';
import type { Logger } from '../../runtime/index.ts';
import { catalogue, Refusal, refusalOf } from '../errors.ts';
import { sendFailure, sendJson, sendNothing, sendRefusal } from './answers.ts';
import type { KairosContext } from './context.ts';
import { dataPointRoutes } from './data-points.ts';
import { metadataRoutes } from './metadata.ts';
import { nameRoutes } from './names.ts';
import { queryRoutes } from './queries.ts';
import { rollupRoutes } from './rollups.ts';
import { addRoutes, type KairosRoute } from './routes.ts';
import { VERSION_NAME } from './version.ts';

const VERSION = `{"version": "${VERSION_NAME}"}\n`;

export async function kairos(app: FastifyInstance, context: KairosContext): Promise<void> {
  const { store, logger } = context;
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  app.setNotFoundHandler(async (_request, reply) => reply.code(404).send());
  app.setErrorHandler(async (error, request, reply) => answerError(error, request, reply, logger));
  // Of a parameter that is given twice the first counts.
  app.addHook('preHandler', async ({ query }) => {
    const parameters = query as Record<string, string | string[]>;
    for (const [name, value] of Object.entries(parameters)) {
      if (Array.isArray(value)) parameters[name] = value[0] as string;
    }
  });
  const desk = openDesk(context);
  app.addHook('preClose', () => desk.stop());
  addRoutes(
    app,
    [
      ...aboutRoutes(context),
      ...nameRoutes(store, desk),
      ...dataPointRoutes(context),
      ...queryRoutes(desk, context.clock),
      ...metadataRoutes(store, desk),
      ...rollupRoutes(context),
    ],
    (group) =>
      group === 'QUERY' ? context.answersQueries !== false : context.ingest !== undefined,
  );
}

/** All that clients ask the store goes through one desk. */
function openDesk({ store, clock, logger, queries }: KairosContext): QueryDesk {
  return new QueryDesk({
    store,
    clock,
    logger,
    limits: queries,
    async save(points) {
      const rejections = await store.write(points);
      if (rejections.length === 0) return;
      logger.warn({ rejections: rejections.slice(0, 3) }, 'save_as made points that are no good');
    },
  });
}

function aboutRoutes({ store, logger }: KairosContext): readonly KairosRoute[] {
  const isHealthy = async (): Promise<boolean> => {
    try {
      await store.connect();
      await store.check();
      return true;
    } catch (error) {
      logger.warn({ err: error }, 'the KairosDB store does not answer');
      return false;
    }
  };
  return [
    {
      path: '/version',
      summary: 'Version',
      preflight: true,
      handlers: { GET: async (request, reply) => sendJson(request, reply, VERSION) },
    },
    ...['/', '/health', '/metadata'].map((path) => ({
      path,
      summary: 'Nothing by itself',
      handlers: {},
    })),
    {
      path: '/health/status',
      summary: 'Health, check by check',
      preflight: true,
      handlers: {
        async GET(request, reply) {
          const state = (await isHealthy()) ? 'OK' : 'FAIL';
          const checks = ['JVM-Thread-Deadlock: OK', `Datastore-Query: ${state}`];
          return sendJson(request, reply, JSON.stringify(checks));
        },
      },
    },
    {
      path: '/health/check',
      summary: 'Health as a status: 204 or 500',
      preflight: true,
      handlers: {
        GET: async (_request, reply) => sendNothing(reply, (await isHealthy()) ? 204 : 500),
      },
    },
    {
      path: '/features',
      summary: 'Group-bys and aggregators, for user interfaces',
      handlers: { GET: async (request, reply) => sendJson(request, reply, featuresText) },
    },
    {
      path: '/features/:name',
      summary: 'Group-bys or aggregators',
      handlers: {
        async GET(request, reply) {
          const { name } = request.params as { name: string };
          const text = featureText(name);
          if (text !== undefined) return sendJson(request, reply, text);
          return sendRefusal(reply, [`Unknown feature '${name.toLowerCase()}'`], 404);
        },
      },
    },
  ];
}

/** Whatever a handler throws, as KairosDB would say it. */
function answerError(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  logger: Logger,
): FastifyReply {
  if (error instanceof QueryRefused) return sendRefusal(reply, error.messages);
  if (error instanceof QueryFailed) return sendFailure(reply, error.reason);
  if (error instanceof RetriableError) {
    // The store is away or full: the client is to come again, nothing was lost silently.
    reply.header('retry-after', Math.ceil((error.retryAfterMs ?? 1_000) / 1_000));
    return sendFailure(reply, error.message, 503);
  }
  if ((error as { code?: string }).code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') {
    return sendRefusal(reply, ['the Content-Type is none']);
  }
  if (error instanceof Refusal || (error as { statusCode?: number }).statusCode !== undefined) {
    const refusal = refusalOf(error);
    reply.headers(refusal.headers);
    return sendRefusal(reply, [refusal.message], catalogue[refusal.code].status);
  }
  logger.error({ err: error, method: request.method, path: request.url }, 'a request failed');
  return sendFailure(reply, messageOf(error));
}
