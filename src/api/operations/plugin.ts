/** For whoever runs the engine: liveness, readiness, metrics, topologies, and the sinks' backlogs. */
import type { FastifyInstance } from 'fastify';
import { type Static, Type } from 'typebox';
import { nearest, registry } from '../../runtime/index.ts';
import type { ApiContext } from '../context.ts';
import { Refusal } from '../errors.ts';
import { nullable, problems } from '../schemas.ts';

const HealthShape = Type.Object({
  status: Type.String(),
  version: Type.String(),
  reasons: Type.Array(Type.String({ description: 'What is wrong and how to mend it.' })),
});

const TaskShape = Type.Object({
  partition: Type.Integer(),
  state: Type.String({ description: 'starting, restoring, running, waiting, failed or stopped' }),
  epoch: Type.Integer(),
  watermark: nullable({ type: 'integer' }, 'ms of event time'),
  offsets: Type.Array(
    Type.Object({
      topic: Type.String(),
      partition: Type.Integer(),
      nextOffset: Type.Integer(),
      endOffset: Type.Integer(),
      lag: Type.Integer({ description: 'records' }),
    }),
  ),
  restarts: Type.Integer(),
  error: nullable({ type: 'string' }),
});

const TopologyShape = Type.Object({
  name: Type.String(),
  graph: Type.Object({ nodes: Type.Array(Type.Unknown()), edges: Type.Array(Type.Unknown()) }),
  text: Type.String(),
  mermaid: Type.String(),
  hash: Type.String(),
  tasks: Type.Array(TaskShape),
});

const BacklogShape = Type.Object({
  sink: Type.String(),
  topic: Type.String(),
  points: Type.Integer({ description: 'records not stored yet' }),
  bytes: Type.Integer(),
  oldestAgeMs: nullable({ type: 'number' }),
  dropped: Type.Integer(),
  rejected: Type.Integer(),
  breaker: Type.String({ description: 'closed, open or half-open' }),
  lastError: nullable({ type: 'string' }),
  nextAttemptAt: nullable({ type: 'number' }, 'ms'),
});

const ByName = Type.Object({ name: Type.String() });
const BySink = Type.Object({ sink: Type.String() });

export async function operations(app: FastifyInstance, { engine }: ApiContext): Promise<void> {
  app.get(
    '/health',
    {
      schema: {
        summary: 'Liveness: red once something stopped for good',
        tags: ['operations'],
        response: { 200: HealthShape, 503: HealthShape },
      },
    },
    async (_request, reply) => {
      const { healthy, reasons } = engine.health();
      return reply
        .code(healthy ? 200 : 503)
        .send({ status: healthy ? 'ok' : 'failed', version: engine.version, reasons });
    },
  );

  app.get(
    '/ready',
    {
      schema: {
        summary: 'Readiness, with what is missing',
        tags: ['operations'],
        response: { 200: HealthShape, 503: HealthShape },
      },
    },
    async (_request, reply) => {
      const { ready, reasons } = engine.readiness();
      return reply
        .code(ready ? 200 : 503)
        .send({ status: ready ? 'ready' : 'not ready', version: engine.version, reasons });
    },
  );

  app.get(
    '/metrics',
    {
      schema: {
        summary: 'Metrics for Prometheus',
        tags: ['operations'],
        produces: ['text/plain'],
        response: { 200: Type.String() },
      },
    },
    async (_request, reply) =>
      reply
        .type(registry.contentType)
        .serializer(String)
        .send(await registry.metrics()),
  );

  app.get(
    '/v1/topologies',
    {
      schema: {
        summary: 'Topologies that run, with their tasks and lag',
        tags: ['operations'],
        response: { 200: Type.Object({ topologies: Type.Array(TopologyShape) }) },
      },
    },
    async () => ({ topologies: engine.topologies() }),
  );

  app.get<{ Params: Static<typeof ByName> }>(
    '/v1/topologies/:name',
    {
      schema: {
        summary: 'One topology: graph, text, Mermaid, tasks',
        tags: ['operations'],
        params: ByName,
        response: { 200: TopologyShape, ...problems(404) },
      },
    },
    async ({ params: { name } }) => {
      const running = engine.topologies();
      const found = running.find((topology) => topology.name === name);
      if (found !== undefined) return found;
      throw unknown(
        'UNKNOWN_TOPOLOGY',
        'topology',
        name,
        running.map((each) => each.name),
      );
    },
  );

  app.get(
    '/v1/backlog',
    {
      schema: {
        summary: 'What each sink has yet to store',
        tags: ['operations'],
        response: { 200: Type.Object({ sinks: Type.Array(BacklogShape) }) },
      },
    },
    async () => ({ sinks: await engine.backlog() }),
  );

  const requireSink = async (sink: string): Promise<void> => {
    const sinks = (await engine.backlog()).map((each) => each.sink);
    if (!sinks.includes(sink)) throw unknown('UNKNOWN_SINK', 'sink', sink, sinks);
  };

  app.post<{ Params: Static<typeof BySink> }>(
    '/v1/backlog/:sink/flush',
    {
      schema: {
        summary: 'Try a sink now, without waiting for its backoff',
        tags: ['operations'],
        params: BySink,
        response: {
          200: Type.Object({ sink: Type.String(), flushed: Type.Boolean() }),
          ...problems(404),
        },
      },
    },
    async ({ params: { sink } }) => {
      await requireSink(sink);
      return { sink, flushed: await engine.flushBacklog(sink) };
    },
  );

  app.post<{ Params: Static<typeof BySink> }>(
    '/v1/backlog/:sink/clear',
    {
      schema: {
        summary: 'Give up what a sink has yet to store; it counts as dropped',
        tags: ['operations'],
        params: BySink,
        response: {
          200: Type.Object({ sink: Type.String(), dropped: Type.Integer() }),
          ...problems(404),
        },
      },
    },
    async ({ params: { sink } }) => {
      await requireSink(sink);
      return { sink, dropped: (await engine.clearBacklog(sink)) ?? 0 };
    },
  );
}

function unknown(
  code: 'UNKNOWN_TOPOLOGY' | 'UNKNOWN_SINK',
  noun: string,
  name: string,
  known: readonly string[],
): Refusal {
  const near = nearest(name, known);
  const hint = near === undefined ? 'none runs' : `did you mean ${near}?`;
  return new Refusal(code, `there is no ${noun} ${JSON.stringify(name)}; ${hint}`);
}
