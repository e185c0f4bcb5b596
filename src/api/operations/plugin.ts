/** For whoever runs the engine: liveness, readiness, metrics and topologies. */
import type { FastifyInstance } from 'fastify';
import type { Static } from 'typebox';
import { registry, Type } from '../../runtime/index.ts';
import type { ApiContext } from '../context.ts';
import { nullable, problems } from '../schemas.ts';
import { unknownName } from '../unknown-name.ts';

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
  idle: Type.Boolean({
    description:
      'Waits for records and for nothing else: for some seconds there was nothing left to read, and all that came of what was read is committed and stored.',
  }),
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

const ByName = Type.Object({ name: Type.String() });

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
      throw unknownName(
        'UNKNOWN_TOPOLOGY',
        'topology',
        name,
        running.map((each) => each.name),
      );
    },
  );
}
