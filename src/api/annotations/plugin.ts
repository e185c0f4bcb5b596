/** Notes on the time line: a deploy, an outage, whatever a chart should show beside its curves [S4]. */
import type { FastifyInstance } from 'fastify';
import type { Static } from 'typebox';
import { days } from '../../model/index.ts';
import { Type } from '../../runtime/index.ts';
import type { ApiContext } from '../context.ts';
import { Refusal } from '../errors.ts';
import { bodyTime, nullable, problems, query, timeText } from '../schemas.ts';
import { parseRange, requireTime } from '../time-range.ts';
import type { AnnotationDraft } from './port.ts';

const TEXT_CHARS_MAX = 4_000;
const TAGS_MAX = 20;
const NAME_CHARS_MAX = 256;

const name = Type.String({ minLength: 1, maxLength: NAME_CHARS_MAX });

const Body = Type.Object(
  {
    text: Type.String({ minLength: 1, maxLength: TEXT_CHARS_MAX }),
    time: Type.Optional(bodyTime),
    endTime: Type.Optional(
      Type.Unsafe<number | string | null>({ type: ['number', 'string', 'null'] }),
    ),
    tags: Type.Optional(Type.Array(name, { maxItems: TAGS_MAX })),
    host: Type.Optional(
      Type.Unsafe<string | null>({
        type: ['string', 'null'],
        minLength: 1,
        maxLength: NAME_CHARS_MAX,
      }),
    ),
  },
  { additionalProperties: false },
);

const AnnotationShape = Type.Object({
  id: Type.String(),
  time: Type.Integer({ description: 'ms' }),
  endTime: nullable({ type: 'integer' }, 'ms, end of a stretch; null: a moment'),
  text: Type.String(),
  tags: Type.Array(Type.String()),
  host: nullable({ type: 'string' }, 'null: of everything'),
  createdAt: Type.Integer({ description: 'ms' }),
});

const ListQuery = query({
  from: timeText('Those that touch [from, to). Default: 7 days before `to`.'),
  to: timeText('Exclusive. Default: a day from now.'),
  tag: Type.Optional(
    Type.Unsafe<string | string[]>({
      type: ['string', 'array'],
      items: { type: 'string' },
      maxItems: TAGS_MAX,
      description: 'Having this tag; may be repeated: having all.',
    }),
  ),
  host: Type.Optional(Type.String({ description: 'Of this host, and of everything.' })),
  limit: Type.Integer({ minimum: 1, maximum: 10_000, default: 1_000 }),
});
const ById = Type.Object({ id: Type.String() });
const NoQuery = query({});

export async function annotations(app: FastifyInstance, context: ApiContext): Promise<void> {
  const { engine, clock } = context;
  const port = engine.annotations;
  if (port === undefined) return;

  app.get<{ Querystring: Static<typeof ListQuery> }>(
    '/v1/annotations',
    {
      schema: {
        summary: 'Annotations in a range of time, oldest first',
        tags: ['annotations'],
        querystring: ListQuery,
        response: {
          200: Type.Object({ annotations: Type.Array(AnnotationShape) }),
          ...problems(422),
        },
      },
    },
    async (request) => {
      const { tag, host, limit } = request.query;
      const range = parseRange(request.query, {
        nowMs: clock.now() + days(1),
        lengthMs: days(8),
      });
      const tags = [tag ?? []].flat();
      const asked = { ...range, tags, limit, ...(host === undefined ? {} : { host }) };
      return { annotations: await port.list(asked) };
    },
  );

  app.post<{ Body: Static<typeof Body> }>(
    '/v1/annotations',
    {
      schema: {
        summary: 'Write an annotation',
        tags: ['annotations'],
        querystring: NoQuery,
        body: Body,
        response: { 201: AnnotationShape, ...problems(415, 422, 429) },
      },
    },
    async (request, reply) => {
      const made = await port.add(draftOf(request.body, clock.now()));
      return reply.code(201).header('location', `/v1/annotations/${made.id}`).send(made);
    },
  );

  app.delete<{ Params: Static<typeof ById> }>(
    '/v1/annotations/:id',
    {
      schema: {
        summary: 'Remove an annotation',
        tags: ['annotations'],
        params: ById,
        response: { 200: AnnotationShape, ...problems(404) },
      },
    },
    async ({ params: { id } }) => {
      const removed = await port.remove(id);
      if (removed !== undefined) return removed;
      throw new Refusal('UNKNOWN_ANNOTATION', `there is no annotation ${JSON.stringify(id)}`);
    },
  );
}

function draftOf(body: Static<typeof Body>, nowMs: number): AnnotationDraft {
  const time = body.time === undefined ? nowMs : requireTime('time', body.time);
  const endTime = body.endTime == null ? null : requireTime('endTime', body.endTime);
  if (endTime !== null && endTime <= time) {
    throw new Refusal('RANGE_INVALID', `time (${time}) must lie before endTime (${endTime})`);
  }
  const texts = [body.text, body.host ?? '', ...(body.tags ?? [])];
  if (texts.every((text) => text.isWellFormed())) {
    const tags = [...new Set(body.tags ?? [])];
    return { time, endTime, text: body.text, tags, host: body.host ?? null };
  }
  throw new Refusal('FIELD_INVALID', 'text, tags and host must be well-formed Unicode');
}
