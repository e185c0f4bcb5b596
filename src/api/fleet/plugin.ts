/** The fleet: hosts and their state, trends, comparison, anomalies, and when a disk is full [S3]. */
import type { FastifyInstance } from 'fastify';
import type { Static } from 'typebox';
import { days, hours } from '../../model/index.ts';
import { Type } from '../../runtime/index.ts';
import type { ApiContext } from '../context.ts';
import { Refusal } from '../errors.ts';
import { problems, query, timeText } from '../schemas.ts';
import { parseRange } from '../time-range.ts';
import type { FleetHost } from './port.ts';
import {
  AnomalyShape,
  detectorParameter,
  ForecastShape,
  HostShape,
  HostWithSeriesShape,
  SeriesShape,
  seriesParameters,
  stepParameter,
} from './schemas.ts';

const HOSTS_MAX = 100;
const HORIZON_MAX_MS = days(366);

const range = {
  from: timeText('First window start, inclusive. Default: 24 h before `to`; of one host 6 h.'),
  to: timeText('Exclusive. Default: now.'),
};
const NoQuery = query({});
const ByHost = Type.Object({ host: Type.String() });
const HostQuery = query({
  ...range,
  step: stepParameter,
  field: Type.Optional(Type.String({ description: 'Only this field.' })),
  ...seriesParameters,
});
const CompareQuery = query({
  field: Type.String({ minLength: 1, description: 'usage_percent, used_percent, …' }),
  hosts: Type.Optional(
    Type.String({ description: `Comma separated, at most ${HOSTS_MAX}. Default: all.` }),
  ),
  ...range,
  step: stepParameter,
  ...seriesParameters,
});
const AnomaliesQuery = query({
  host: Type.Optional(Type.String()),
  field: Type.Optional(Type.String()),
  metricType: seriesParameters.metricType,
  ...range,
  detector: detectorParameter,
  limit: Type.Integer({ minimum: 1, maximum: 1_000, default: 100 }),
});
const ForecastQuery = query({
  host: Type.String({ minLength: 1 }),
  field: Type.Optional(Type.String({ description: 'Default: used_percent of a disk.' })),
  ...seriesParameters,
  horizon: Type.String({ default: '30d', description: 'How far ahead: 12h, 30d, 4w.' }),
  capacity: Type.Number({ default: 100, description: 'Full at this value.' }),
  confidence: Type.Number({
    exclusiveMinimum: 0,
    exclusiveMaximum: 1,
    default: 0.95,
    description: 'Of the interval.',
  }),
});

export async function fleet(app: FastifyInstance, context: ApiContext): Promise<void> {
  const { engine, clock } = context;
  const port = engine.fleet;
  if (port === undefined) return;
  const rangeOf = (given: { from?: string; to?: string }, lengthMs = hours(24)) =>
    parseRange(given, { nowMs: clock.now(), lengthMs });

  const hostNamed = async (name: string): Promise<FleetHost> => {
    const host = await port.host(name);
    if (host !== undefined) return host;
    throw new Refusal('UNKNOWN_HOST', `nothing was reported by ${JSON.stringify(name)}`);
  };

  app.get(
    '/v1/fleet/hosts',
    {
      schema: {
        summary: 'Every host: status and newest readings',
        tags: ['fleet'],
        querystring: NoQuery,
        response: { 200: Type.Object({ hosts: Type.Array(HostShape) }), ...problems(422) },
      },
    },
    async () => ({ hosts: await port.hosts() }),
  );

  app.get<{ Params: Static<typeof ByHost>; Querystring: Static<typeof HostQuery> }>(
    '/v1/fleet/hosts/:host',
    {
      schema: {
        summary: 'One host: status, newest readings, trends',
        tags: ['fleet'],
        params: ByHost,
        querystring: HostQuery,
        response: { 200: HostWithSeriesShape, ...problems(404, 422) },
      },
    },
    async (request) => {
      const { step, field } = request.query;
      const asked = { ...rangeOf(request.query, hours(6)), step, ...filterOf(request.query) };
      const host = await hostNamed(request.params.host);
      const series = await port.series({
        ...asked,
        hosts: [host.host],
        ...(field === undefined ? {} : { field }),
      });
      return { ...host, series };
    },
  );

  app.get<{ Querystring: Static<typeof CompareQuery> }>(
    '/v1/fleet/compare',
    {
      schema: {
        summary: 'One field of several hosts over time',
        tags: ['fleet'],
        querystring: CompareQuery,
        response: {
          200: Type.Object({
            field: Type.String(),
            step: Type.String(),
            series: Type.Array(SeriesShape),
          }),
          ...problems(422),
        },
      },
    },
    async (request) => {
      const { field, step, hosts } = request.query;
      const series = await port.series({
        ...rangeOf(request.query),
        step,
        field,
        ...filterOf(request.query),
        ...(hosts === undefined ? {} : { hosts: namesOf(hosts) }),
      });
      return { field, step, series };
    },
  );

  app.get<{ Querystring: Static<typeof AnomaliesQuery> }>(
    '/v1/fleet/anomalies',
    {
      schema: {
        summary: 'What is unlike what came before, newest first',
        tags: ['fleet'],
        querystring: AnomaliesQuery,
        response: {
          200: Type.Object({ anomalies: Type.Array(AnomalyShape) }),
          ...problems(422),
        },
      },
    },
    async ({ query: { from: _, to: __, ...asked }, query: given }) => ({
      anomalies: await port.anomalies({ ...asked, ...rangeOf(given) }),
    }),
  );

  app.get<{ Querystring: Static<typeof ForecastQuery> }>(
    '/v1/fleet/forecast',
    {
      schema: {
        summary: 'When a disk (or anything) is full, with an interval',
        tags: ['fleet'],
        querystring: ForecastQuery,
        response: { 200: ForecastShape, ...problems(404, 422) },
      },
    },
    async (request) => {
      const { host, horizon, capacity, confidence } = request.query;
      const { field = 'used_percent', metricType } = request.query;
      const isDisk = request.query.field === undefined && metricType === undefined;
      const asked = { host, field, capacity, confidence, horizonMs: horizonOf(horizon) };
      const found = await port.forecast({
        ...asked,
        ...(isDisk ? { metricType: 'disk' } : {}),
        ...filterOf(request.query),
      });
      if (found !== undefined) return found;
      throw new Refusal(
        'UNKNOWN_SERIES',
        `no ${JSON.stringify(field)} of ${JSON.stringify(host)} with these tags is stored`,
      );
    },
  );
}

interface SeriesParameters {
  readonly metricType?: FleetHost['latest'][number]['metricType'];
  readonly mount?: string;
  readonly interface?: string;
  readonly tag?: string | readonly string[];
}

function filterOf({ metricType, mount, tag, ...given }: SeriesParameters) {
  const pairs = [tag ?? []].flat().map((text) => {
    const colon = text.indexOf(':');
    if (colon <= 0) throw invalid('tag', `expected name:value, got ${JSON.stringify(text)}`);
    return [text.slice(0, colon), text.slice(colon + 1)] as const;
  });
  const tags = Object.fromEntries([
    ...pairs,
    ...(mount === undefined ? [] : [['mount', mount] as const]),
    ...(given.interface === undefined ? [] : [['interface', given.interface] as const]),
  ]);
  return { ...(metricType === undefined ? {} : { metricType }), tags };
}

function namesOf(hosts: string): readonly string[] {
  const names = [...new Set(hosts.split(',').filter((name) => name !== ''))];
  if (names.length >= 1 && names.length <= HOSTS_MAX) return names;
  throw invalid('hosts', `expected 1 to ${HOSTS_MAX} names, comma separated`);
}

const unitsMs: Readonly<Record<string, number>> = {
  m: 60_000,
  h: hours(1),
  d: days(1),
  w: days(7),
};

/** `30d` as ms; a plain number is ms already. */
function horizonOf(text: string): number {
  const match = /^(\d{1,15})([mhdw]?)$/.exec(text);
  const ms = match === null ? Number.NaN : Number(match[1]) * (unitsMs[match[2] ?? ''] ?? 1);
  if (ms >= hours(1) && ms <= HORIZON_MAX_MS) return ms;
  throw invalid('horizon', `expected 1h to 366d, got ${JSON.stringify(text)}`);
}

function invalid(field: string, what: string): Refusal {
  const message = `${field}: ${what}`;
  return new Refusal('FIELD_INVALID', message, { errors: [{ field, message }] });
}
