/**
 * The HTTP service: plugins around an EngineView. Listening is left to the caller, so that tests inject
 * requests without a socket.
 */
import compress from '@fastify/compress';
import Fastify, { type FastifyInstance } from 'fastify';
import type { DeskLimits } from '../query/index.ts';
import {
  type Clock,
  type Logger,
  type Secret,
  silentLogger,
  systemClock,
} from '../runtime/index.ts';
import { guardAccess, isProbe } from './access.ts';
import { alerts } from './alerts/plugin.ts';
import { annotations } from './annotations/plugin.ts';
import { auditChanges } from './audit.ts';
import { closeConnections } from './connections.ts';
import type { ApiContext } from './context.ts';
import type { EngineView } from './contract.ts';
import { dashboard } from './dashboard/plugin.ts';
import { describeRoutes, docs } from './docs/plugin.ts';
import { Refusal } from './errors.ts';
import { figures } from './figures/plugin.ts';
import { fleet } from './fleet/plugin.ts';
import { history } from './history/plugin.ts';
import { explanations } from './jobs/explain.ts';
import { jobs } from './jobs/plugin.ts';
import { kairos } from './kairos/plugin.ts';
import { live } from './live/plugin.ts';
import { operations } from './operations/plugin.ts';
import {
  answerClientError,
  answerFrameworkError,
  answerProblems,
  refuseInfinity,
} from './problem-replies.ts';
import { replays } from './replays/plugin.ts';
import { rollups } from './rollups/plugin.ts';
import { collectRoutes } from './routes.ts';
import { sinks } from './sinks/plugin.ts';
import { stored } from './stored/plugin.ts';
import { requestAnswered } from './telemetry.ts';
import { topics } from './topics/plugin.ts';
import { compileWhenUsed } from './validators.ts';

declare module 'fastify' {
  interface FastifyInstance {
    /** Compiles the schemas that no request needed yet; throws at a wrong one. Returns how many. */
    compileValidators(): number;
  }
}

export interface ServerOptions {
  /** Empty: everybody is let in. */
  readonly tokens?: readonly Secret[];
  readonly corsOrigins?: readonly string[];
  /** Per client address; 0 = without limit (default). */
  readonly requestsPerMinuteMax?: number;
  /** Unpacked. Default 16 MiB. */
  readonly bodyBytesMax?: number;
  /** Only `/api/v1` and what looks after the process: a server of role `ingest` or `query` without `api`. */
  readonly kairosOnly?: boolean;
  /** Of queries under `/api/v1`: how many, how long, how large. */
  readonly queries?: Partial<DeskLimits>;
  readonly clock?: Clock;
  readonly logger?: Logger;
}

/** Names of topics may have 249 characters, and percent signs triple them. */
const PARAMETER_CHARS_MAX = 1_024;
/** Smaller answers cost more to pack than to send. */
const COMPRESS_BYTES_MIN = 4_096;

/** A server that is ready to `listen` or `inject`; `close` ends feeds and waits for answers under way. */
export async function createServer(
  engine: EngineView,
  options: ServerOptions = {},
): Promise<FastifyInstance> {
  const { tokens = [], corsOrigins = [], requestsPerMinuteMax = 0 } = options;
  const logger = options.logger ?? silentLogger;
  const stopping = new AbortController();
  const context: ApiContext = {
    engine,
    logger,
    clock: options.clock ?? systemClock,
    stopping: stopping.signal,
  };
  const validators = compileWhenUsed();
  const app = Fastify({
    bodyLimit: options.bodyBytesMax ?? 16 * 1_024 * 1_024,
    routerOptions: { maxParamLength: PARAMETER_CHARS_MAX },
    ajv: {
      customOptions: {
        removeAdditional: false,
        coerceTypes: true,
        verbose: true,
        allowUnionTypes: true,
      },
    },
    // Answers are our own values: JSON.stringify is as fast as a compiled serializer here (1.9 ms for a
    // thousand live entries either way) and never throws on NaN. Given here, fastify loads no other.
    schemaController: {
      compilersFactory: {
        buildValidator: validators.buildValidator,
        buildSerializer: () => () => JSON.stringify,
      },
    },
    frameworkErrors: answerFrameworkError,
    clientErrorHandler: answerClientError,
    forceCloseConnections: 'idle',
  });
  app.decorate('compileValidators', validators.compileAll);
  readJsonBodies(app);
  const routes = collectRoutes(app);
  answerProblems(app, { logger, routes });
  refuseInfinity(app);

  if (corsOrigins.length > 0) {
    const { default: cors } = await import('@fastify/cors');
    await app.register(cors, {
      origin: corsOrigins.includes('*') ? '*' : [...corsOrigins],
      methods: ['GET', 'HEAD', 'POST', 'PUT', 'DELETE'],
      exposedHeaders: ['location', 'retry-after'],
    });
  }
  if (requestsPerMinuteMax > 0) {
    const { default: rateLimit } = await import('@fastify/rate-limit');
    await app.register(rateLimit, {
      // Below, before anybody is asked for a token: of a route its own hook would come behind that.
      global: false,
      max: requestsPerMinuteMax,
      timeWindow: '1 minute',
      errorResponseBuilder: (_request, { after }) =>
        new Refusal(
          'RATE_LIMITED',
          `more than ${requestsPerMinuteMax} requests per minute; again in ${after}`,
        ),
    });
    const limit = app.rateLimit();
    app.addHook('onRequest', async (request, reply) => {
      if (!isProbe(request)) await limit.call(app, request, reply);
    });
  }
  guardAccess(app, { tokens, corsOrigins });
  await app.register(compress, { threshold: COMPRESS_BYTES_MIN, encodings: ['gzip', 'deflate'] });
  const openApi = describeRoutes(app, engine.version);

  app.addHook('onResponse', async (request, reply) => {
    requestAnswered({
      method: request.method,
      route: request.routeOptions.url ?? 'unknown',
      status: reply.statusCode,
      durationMs: reply.elapsedTime,
    });
  });
  auditChanges(app, logger);
  closeConnections(app, { stopping, clock: context.clock });

  const plugins =
    options.kairosOnly === true
      ? [operations, rollups]
      : [
          operations,
          sinks,
          topics,
          live,
          figures,
          history,
          stored,
          replays,
          rollups,
          fleet,
          annotations,
          alerts,
          jobs,
          explanations,
        ];
  for (const plugin of plugins) {
    await app.register(named(plugin.name, (scope) => plugin(scope, context)));
  }
  const store = engine.kairos;
  if (store !== undefined) {
    const { clock } = context;
    const { queries } = options;
    const { ingest, answersQueries = true } = engine;
    await app.register(
      named(kairos.name, (scope) =>
        kairos(scope, { store, ingest, answersQueries, queries, clock, logger }),
      ),
      { prefix: '/api/v1' },
    );
  }
  await app.register(named(docs.name, (scope) => docs(scope, openApi)));
  if (options.kairosOnly !== true) await app.register(named(dashboard.name, dashboard));
  await app.ready();
  return app;
}

type Plugin = (scope: FastifyInstance) => Promise<void>;

/** One without a name of its own is looked for by fastify among all modules of the process. */
const named = (name: string, plugin: Plugin): Plugin =>
  Object.assign((scope: FastifyInstance) => plugin(scope), {
    [Symbol.for('fastify.display-name')]: name,
  });

/** JSON bodies for routes that take an object; an empty one is no body. */
function readJsonBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => {
    if (body === '') return done(null, undefined);
    try {
      done(null, JSON.parse(body as string));
    } catch {
      done(new Refusal('NOT_JSON', 'the body is not JSON'));
    }
  });
}
