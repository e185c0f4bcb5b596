/** Is a stored rollup right? Computed again from the records that its lineage names. */
import type { FastifyInstance } from 'fastify';
import type { Static } from 'typebox';
import { parsePoint } from '../../jobs/index.ts';
import { Type } from '../../runtime/index.ts';
import type { ApiContext } from '../context.ts';
import { Refusal } from '../errors.ts';
import { nullable, problems, query } from '../schemas.ts';
import { parseTime } from '../time-range.ts';

const ExplainQuery = query({
  point: Type.String({
    description:
      'TOPIC/KEY@TIME with the window’s start, such as votes.rollup.5m/network:testnet@2026-01-31T12:05:00Z, or TOPIC:PARTITION:OFFSET',
  }),
});

const anything = { type: 'object', additionalProperties: true };

const ExplanationShape = Type.Object({
  point: Type.String(),
  match: Type.Boolean(),
  differences: Type.Array(
    Type.Object({ field: Type.String(), stored: Type.Unknown(), recomputed: Type.Unknown() }),
  ),
  topology: Type.String(),
  offsets: Type.Array(
    Type.Object({
      topic: Type.String(),
      partition: Type.Integer(),
      from: Type.Integer(),
      to: Type.Integer({ description: 'exclusive' }),
    }),
  ),
  recordsRead: Type.Integer(),
  stored: Type.Unsafe<object>(anything),
  recomputed: nullable<object>(anything),
});

export async function explanations(
  app: FastifyInstance,
  { engine, stopping }: ApiContext,
): Promise<void> {
  app.get<{ Querystring: Static<typeof ExplainQuery> }>(
    '/v1/explain',
    {
      schema: {
        summary: 'A rollup computed again from the records it was made of',
        tags: ['jobs'],
        querystring: ExplainQuery,
        response: { 200: ExplanationShape, ...problems(404, 422) },
      },
    },
    async ({ query: { point } }) => {
      const name = parsePoint(point, parseTime);
      if (name !== undefined) return engine.explain(point, name, stopping);
      const message = `point: expected TOPIC/KEY@TIME or TOPIC:PARTITION:OFFSET, got ${JSON.stringify(point.slice(0, 200))}`;
      throw new Refusal('FIELD_INVALID', message, { errors: [{ field: 'point', message }] });
    },
  );
}
