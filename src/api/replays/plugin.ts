/** Replays as jobs: start, watch, cancel. */
import type { FastifyInstance } from 'fastify';
import type { Static } from 'typebox';
import { Type } from '../../runtime/index.ts';
import type { ApiContext } from '../context.ts';
import type { ReplayJob, ReplayRequest } from '../contract.ts';
import { Refusal } from '../errors.ts';
import { bodyTime, nullable, problems } from '../schemas.ts';
import { requireTime } from '../time-range.ts';

const Position = Type.Object(
  {
    time: Type.Optional(bodyTime),
    offset: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: Number.MAX_SAFE_INTEGER,
        description: 'Applies to every partition.',
      }),
    ),
  },
  { additionalProperties: false, minProperties: 1, maxProperties: 1 },
);

const ReplayBody = Type.Object(
  {
    name: Type.String({ minLength: 1, description: 'A topology’s name or a sink’s.' }),
    from: Position,
    to: Type.Optional(Position),
    into: Type.Optional(
      Type.Array(Type.String({ minLength: 1 }), {
        minItems: 1,
        maxItems: 64,
        description: 'Sinks to write into. Absent: nothing is appended to derived topics.',
      }),
    ),
    diff: Type.Optional(
      Type.Boolean({ description: 'Compare with what is stored, write nothing.' }),
    ),
  },
  { additionalProperties: false },
);

const count = (description: string) => ({ type: 'integer', description });

const counts = {
  equal: count('The same on both sides.'),
  changed: count('On both sides, with other values.'),
  onlyInNew: count('Derived, not stored.'),
  onlyInStored: count('Stored, not derived.'),
  averagesOnly: count(
    'Differ in a moving average alone, which counts a window that differs or was not read.',
  ),
};

const JobShape = Type.Object({
  id: Type.String(),
  name: Type.String(),
  state: Type.Unsafe<ReplayJob['state']>({
    type: 'string',
    enum: ['running', 'done', 'failed', 'cancelled'],
  }),
  progress: Type.Object({
    done: Type.Integer({ description: 'records' }),
    total: Type.Integer({ description: 'records' }),
  }),
  startedAt: Type.Integer({ description: 'ms' }),
  endedAt: nullable({ type: 'integer' }, 'ms'),
  error: nullable({
    type: 'object',
    properties: { code: { type: 'string' }, message: { type: 'string' } },
  }),
  into: Type.Array(Type.String()),
  diff: nullable({
    type: 'object',
    description:
      'With diff: what a replay derives beside what is stored, in windows (or records that have none).',
    properties: {
      compared: count('All that both sides have come to.'),
      different: count('changed + onlyInNew + onlyInStored.'),
      ...counts,
      seriesCompared: count('Topics and keys.'),
      seriesEqual: count('Those without a difference.'),
      series: {
        type: 'array',
        description: 'Those that differ; the first 1,000.',
        items: {
          type: 'object',
          properties: {
            topic: { type: 'string' },
            key: { type: 'string' },
            ...counts,
            fields: {
              type: 'object',
              description: 'By field: in how many windows it differs, and by how much at most.',
              additionalProperties: {
                type: 'object',
                properties: {
                  changed: { type: 'integer' },
                  maxAbs: { type: ['number', 'null'] },
                  maxRel: { type: ['number', 'null'] },
                },
              },
            },
            windows: {
              type: 'array',
              description: 'The first of those that differ; of all series at most 5,000.',
              items: { type: 'object', additionalProperties: true },
            },
          },
        },
      },
      examples: { type: 'array', items: { type: 'string' } },
    },
  }),
});

const ById = Type.Object({ id: Type.String() });

export async function replays(app: FastifyInstance, { engine }: ApiContext): Promise<void> {
  const requireJob = (job: ReplayJob | undefined, id: string): ReplayJob => {
    if (job !== undefined) return job;
    throw new Refusal('UNKNOWN_REPLAY', `there is no replay ${JSON.stringify(id)}`);
  };

  app.post<{ Body: Static<typeof ReplayBody> }>(
    '/v1/replays',
    {
      schema: {
        summary: 'Start a replay',
        tags: ['replays'],
        body: ReplayBody,
        response: { 202: JobShape, ...problems(415, 422, 429) },
      },
    },
    async (request, reply) => {
      const job = await engine.replays.start(requestOf(request.body));
      return reply.code(202).header('location', `/v1/replays/${job.id}`).send(job);
    },
  );

  app.get(
    '/v1/replays',
    {
      schema: {
        summary: 'Replays of this process',
        tags: ['replays'],
        response: { 200: Type.Object({ replays: Type.Array(JobShape) }) },
      },
    },
    async () => ({ replays: engine.replays.list() }),
  );

  app.get<{ Params: Static<typeof ById> }>(
    '/v1/replays/:id',
    {
      schema: {
        summary: 'One replay',
        tags: ['replays'],
        params: ById,
        response: { 200: JobShape, ...problems(404) },
      },
    },
    async ({ params: { id } }) => requireJob(engine.replays.get(id), id),
  );

  app.delete<{ Params: Static<typeof ById> }>(
    '/v1/replays/:id',
    {
      schema: {
        summary: 'Cancel a replay',
        tags: ['replays'],
        params: ById,
        response: { 200: JobShape, ...problems(404) },
      },
    },
    async ({ params: { id } }) => requireJob(await engine.replays.cancel(id), id),
  );
}

function requestOf(body: Static<typeof ReplayBody>): ReplayRequest {
  const from = positionOf('from', body.from);
  const to = body.to === undefined ? undefined : positionOf('to', body.to);
  if (to !== undefined) {
    const empty =
      ('time' in from && 'time' in to && from.time >= to.time) ||
      ('offset' in from && 'offset' in to && from.offset >= to.offset);
    if (empty) throw new Refusal('RANGE_INVALID', 'from must lie before to');
  }
  return {
    name: body.name,
    from,
    ...(to === undefined ? {} : { to }),
    ...(body.into === undefined ? {} : { into: body.into }),
    ...(body.diff === undefined ? {} : { diff: body.diff }),
  };
}

function positionOf(
  field: string,
  { time, offset }: Static<typeof Position>,
): ReplayRequest['from'] {
  if (offset === undefined) return { time: requireTime(`${field}.time`, time!) };
  if (Number.isSafeInteger(offset)) return { offset };
  throw new Refusal('FIELD_INVALID', `${field}.offset: must be a whole number`);
}
