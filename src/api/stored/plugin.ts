/** What InfluxDB has stored, asked by the name of a query [V6]; answers are cached for two seconds and timed out. */
import type { FastifyInstance } from 'fastify';
import type { Static } from 'typebox';
import { hours, type MetricType, metricTypes, TidemarkError } from '../../model/index.ts';
import { Type } from '../../runtime/index.ts';
import type { ApiContext } from '../context.ts';
import type { Step, StoredQueries } from '../contract.ts';
import { Refusal } from '../errors.ts';
import { problems, query, timeText } from '../schemas.ts';
import { parseRange } from '../time-range.ts';

const Parameters = query({
  from: timeText('Inclusive. Default: an hour before `to`.'),
  to: timeText('Exclusive. Default: now.'),
  step: Type.Unsafe<Step>({ type: 'string', enum: ['5m', '1h', '1d'], default: '5m' }),
  id: Type.Optional(
    Type.String({ minLength: 1, maxLength: 88, description: 'A validator’s pubkey.' }),
  ),
  network: Type.Optional(Type.String({ minLength: 1, maxLength: 88 })),
  host: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 8_192,
      description: 'A host of the fleet, or several with commas between. Default: all.',
    }),
  ),
  metricType: Type.Optional(Type.Unsafe<MetricType>({ type: 'string', enum: [...metricTypes] })),
  field: Type.Optional(
    Type.String({ minLength: 1, maxLength: 256, description: 'usage_percent, used_percent, …' }),
  ),
  limit: Type.Integer({ minimum: 1, maximum: 10_000, default: 100, description: 'Rows at most.' }),
});
const ByName = Type.Object({ name: Type.String() });

export async function stored(app: FastifyInstance, { engine, clock }: ApiContext): Promise<void> {
  const queries = (): StoredQueries => {
    if (engine.stored !== undefined) return engine.stored;
    throw new Refusal('INFLUX_NOT_NAMED', 'this process was told of no InfluxDB');
  };

  app.get(
    '/v1/influx/queries',
    {
      schema: {
        summary: 'Queries that can be asked of InfluxDB',
        tags: ['history'],
        querystring: query({}),
        response: {
          200: Type.Object({
            queries: Type.Array(
              Type.Object({
                name: Type.String(),
                says: Type.String(),
                needs: Type.Array(Type.String(), { description: 'Parameters it must be given.' }),
              }),
            ),
          }),
          ...problems(404, 422),
        },
      },
    },
    async () => ({ queries: queries().list() }),
  );

  app.get<{ Params: Static<typeof ByName>; Querystring: Static<typeof Parameters> }>(
    '/v1/influx/queries/:name',
    {
      schema: {
        summary: 'The answer to one of them',
        tags: ['history'],
        params: ByName,
        querystring: Parameters,
        response: {
          200: Type.Object({ rows: Type.Array(Type.Record(Type.String(), Type.Unknown())) }),
          ...problems(404, 422, 424),
        },
      },
    },
    async ({ params: { name }, query: given }) => {
      const known = queries()
        .list()
        .find((one) => one.name === name);
      if (known === undefined)
        throw new Refusal('UNKNOWN_QUERY', `there is no query ${JSON.stringify(name)}`);
      const { from: _, to: __, ...values } = given;
      for (const field of known.needs) {
        if (given[field] !== undefined) continue;
        const message = `${field}: ${name} must be told`;
        throw new Refusal('FIELD_INVALID', message, { errors: [{ field, message }] });
      }
      const range = parseRange(given, { nowMs: clock.now(), lengthMs: hours(1) });
      try {
        return { rows: await queries().ask(name, { ...values, ...range }) };
      } catch (error) {
        if (error instanceof TidemarkError && !(error instanceof Refusal))
          throw new Refusal('INFLUX_UNANSWERED', error.message);
        throw error;
      }
    },
  );
}
