/** Stored rollups over time; percentiles of a range come from merged digests, never from averaged percentiles. */
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { Static } from 'typebox';
import { hours } from '../../model/index.ts';
import { Type } from '../../runtime/index.ts';
import type { ApiContext } from '../context.ts';
import type { GroupName, HistoryQuery, Step } from '../contract.ts';
import { Refusal } from '../errors.ts';
import {
  DistributionShape,
  HistoryPointShape,
  nullable,
  problems,
  query,
  timeText,
} from '../schemas.ts';
import { parseRange } from '../time-range.ts';

const RANGE_DEFAULT_MS = hours(24);

const range = {
  from: timeText('First window start, inclusive. Default: 24 h before `to`.'),
  to: timeText('Exclusive. Default: now.'),
};

const HistoryParameters = query({
  ...range,
  step: Type.Unsafe<Step>({ type: 'string', enum: ['5m', '1h', '1d'], default: '5m' }),
});
const QuantileParameters = query({
  q: Type.Number({ minimum: 0, maximum: 1, description: '0.99 for p99' }),
  ...range,
  group: Type.String({ description: 'network:NAME or validator:ID' }),
});
const DistributionParameters = query({
  ...range,
  group: Type.String({ description: 'network:NAME or validator:ID' }),
  live: Type.Boolean({
    default: false,
    description: 'The newest window, open or else closed, instead of a range.',
  }),
});
const ById = Type.Object({ id: Type.String() });
const ByNetwork = Type.Object({ network: Type.String() });

/** Says which store an answer comes from. */
const STORE_HEADER = 'x-tidemark-store';
const headers = {
  [STORE_HEADER]: {
    type: 'string',
    enum: ['embedded', 'influx'],
    description: 'The store that answered: the primary, or the fallback when that could not.',
  },
};
const description =
  'From the store that TIDEMARK_HISTORY_PRIMARY names, or from the fallback while that does not answer; the header x-tidemark-store says which. `sum` and `revision` are absent when it is InfluxDB, which has neither.';

const response = {
  200: Type.Object({ points: Type.Array(HistoryPointShape) }, { headers }),
  ...problems(422, 424),
};

export async function history(app: FastifyInstance, context: ApiContext): Promise<void> {
  const { engine, clock } = context;
  const rangeOf = (given: { from?: string; to?: string }) =>
    parseRange(given, { nowMs: clock.now(), lengthMs: RANGE_DEFAULT_MS });

  const points = async (
    scope: HistoryQuery['scope'],
    id: string,
    given: Static<typeof HistoryParameters>,
    reply: FastifyReply,
  ) => {
    const query = { scope, id, ...rangeOf(given), step: given.step };
    const { store, points } = await engine.history.points(query);
    reply.header(STORE_HEADER, store);
    return { points };
  };

  /** Nothing is open, as when votes have stopped: what was closed last stands for now. */
  const lastClosed = async ({ scope, id }: GroupName) => {
    const entry = scope === 'validator' ? engine.live.validator(id) : engine.live.network(id);
    if (!entry?.closed) return undefined;
    const { start, end } = entry.closed.window;
    return engine.distributions.stored({ scope, id, from: start, to: end });
  };

  app.get<{ Params: Static<typeof ById>; Querystring: Static<typeof HistoryParameters> }>(
    '/v1/validators/:id/metrics',
    {
      schema: {
        summary: 'A validator’s rollups',
        description,
        tags: ['history'],
        params: ById,
        querystring: HistoryParameters,
        response,
      },
    },
    (request, reply) => points('validator', request.params.id, request.query, reply),
  );

  app.get<{ Params: Static<typeof ByNetwork>; Querystring: Static<typeof HistoryParameters> }>(
    '/v1/networks/:network/stats',
    {
      schema: {
        summary: 'A network’s rollups',
        description,
        tags: ['history'],
        params: ByNetwork,
        querystring: HistoryParameters,
        response,
      },
    },
    (request, reply) => points('network', request.params.network, request.query, reply),
  );

  app.get<{ Querystring: Static<typeof QuantileParameters> }>(
    '/v1/quantile',
    {
      schema: {
        summary: 'Any quantile of any range',
        description:
          'Out of merged digests, which only the embedded store has, whatever TIDEMARK_HISTORY_PRIMARY says.',
        tags: ['history'],
        querystring: QuantileParameters,
        response: {
          200: Type.Object({
            q: Type.Number(),
            value: nullable({ type: 'number' }, 'slots; null when the range holds nothing'),
            count: Type.Integer({ description: 'votes' }),
            windows: Type.Integer({ description: 'rollups merged' }),
          }),
          ...problems(422),
        },
      },
    },
    async (request) => {
      const { q, group } = request.query;
      const found = await engine.history.quantile({
        q,
        ...rangeOf(request.query),
        ...parseGroup(group),
      });
      return { q, ...(found ?? { value: null, count: 0, windows: 0 }) };
    },
  );

  app.get<{ Querystring: Static<typeof DistributionParameters> }>(
    '/v1/distribution',
    {
      schema: {
        summary: 'How latencies are spread, as a histogram',
        description: 'Counts per slot, out of merged digests: exact up to 200 distinct values.',
        tags: ['history'],
        querystring: DistributionParameters,
        response: { 200: DistributionShape, ...problems(422) },
      },
    },
    async (request) => {
      const { live, group } = request.query;
      const named = parseGroup(group);
      const found = live
        ? (engine.distributions.live(named) ?? (await lastClosed(named)))
        : await engine.distributions.stored({ ...named, ...rangeOf(request.query) });
      return found ?? { count: 0, bins: [], quantiles: [] };
    },
  );
}

function parseGroup(group: string): GroupName {
  const match = /^(network|validator):(.+)$/s.exec(group);
  if (match === null) {
    const message = `group: expected network:NAME or validator:ID, got ${JSON.stringify(group)}`;
    throw new Refusal('FIELD_INVALID', message, { errors: [{ field: 'group', message }] });
  }
  return { scope: match[1] as HistoryQuery['scope'], id: match[2]! };
}
