/**
 * Questions of the stored fleet [S3]: status, trend, comparison, z-score, Holt–Winters. Five minutes are made of raw
 * readings, hours and days read from their tiers. A series is what has its own tags: a disk, an interface.
 */
import { flux, fluxExpression } from './client.ts';
import { instant } from './flux.ts';
import { type QueryValues, template } from './query-template.ts';
import type { Row } from './row.ts';
import { FLEET_MEASUREMENT, fleetBucket } from './schema.ts';

/** Standard deviations from the mean that are told of [S3]. */
const SIGMAS = '2.0';
/** A day of hours [S3]; days have no season, and one of 288 is more than the server's search can fit in time. */
const SEASONS = { '5m': 0, '1h': 24, '1d': 0 } as const;
/** Windows that a forecast looks ahead: two hours, two days, a month. */
const AHEAD = { '5m': 24, '1h': 48, '1d': 30 } as const;

export interface HostStatus {
  readonly host: string;
  readonly region: string;
  readonly environment: string;
  /** Newest reading of any kind, ms. */
  readonly lastSeen: number;
  /** Percent; null where it was not read. */
  readonly cpu: number | null;
  readonly memory: number | null;
  /** The fullest disk. */
  readonly disk: number | null;
}

export interface StoredSeries {
  readonly host: string;
  readonly tags: Readonly<Record<string, string>>;
}

export interface TrendPoint extends StoredSeries {
  /** Start of the window, ms. */
  readonly start: number;
  readonly mean: number;
}

export interface ComparedSeries extends StoredSeries {
  readonly count: number;
  readonly mean: number;
  readonly min: number;
  readonly max: number;
}

export interface ZScore extends TrendPoint {
  /** Standard deviations from the series' mean over the range. */
  readonly z: number;
}

export const fleetTemplates = {
  'fleet-status': template<HostStatus>({
    says: 'Every host with its newest readings',
    needs: [],
    flux: (values) => flux`from(bucket: ${fleetBucket('5m')})
  |> range(start: ${instant(values.from)}, stop: ${instant(values.to)})
  |> filter(fn: (r) => r._measurement == ${FLEET_MEASUREMENT})${ofHosts(values)}
  |> last()
  |> group(columns: ["host"])
  |> reduce(
    identity: {seen: 1900-01-01T00:00:00Z, region: "", environment: "", cpu: -1.0, memory: -1.0, disk: -1.0},
    fn: (r, accumulator) => ({
      seen: if r._time > accumulator.seen then r._time else accumulator.seen,
      region: if r._time > accumulator.seen then r.region else accumulator.region,
      environment: if r._time > accumulator.seen then r.environment else accumulator.environment,
      cpu: if r.metric_type == "cpu" and r._field == "usage_percent" then r._value else accumulator.cpu,
      memory: if r.metric_type == "memory" and r._field == "used_percent" then r._value else accumulator.memory,
      disk: if r.metric_type == "disk" and r._field == "used_percent" and r._value > accumulator.disk then r._value else accumulator.disk,
    }),
  )
  |> group()
  |> sort(columns: ["host"])
  |> limit(n: ${values.limit})`,
    read: (row) => ({
      host: row.text('host') ?? '',
      region: row.text('region') ?? '',
      environment: row.text('environment') ?? '',
      lastSeen: row.timeMs('seen') ?? Number.NaN,
      cpu: percent(row, 'cpu'),
      memory: percent(row, 'memory'),
      disk: percent(row, 'disk'),
    }),
  }),
  'fleet-trend': template<TrendPoint>({
    says: 'A field’s mean in each window, series by series in order of time',
    needs: ['metricType', 'field'],
    flux: (values) => flux`${meansOf(values)}
  |> group()
  |> sort(columns: ["host", "_time"])
  |> limit(n: ${values.limit})`,
    read: trendPoint,
  }),
  'fleet-compare': template<ComparedSeries>({
    says: 'A field of several hosts over the range, highest mean first',
    needs: ['metricType', 'field'],
    flux: (
      values,
    ) => flux`${values.step === '5m' ? comparedReadings(values) : comparedRollups(values)}
  |> group()
  |> sort(columns: ["mean"], desc: true)
  |> limit(n: ${values.limit})`,
    read: (row) => ({
      ...seriesOf(row),
      count: row.number('count') ?? Number.NaN,
      mean: row.number('mean') ?? Number.NaN,
      min: row.number('min') ?? Number.NaN,
      max: row.number('max') ?? Number.NaN,
    }),
  }),
  'fleet-anomalies': template<ZScore>({
    says: 'Windows two standard deviations or more from their series’ mean over the range, newest first',
    needs: ['metricType', 'field'],
    flux: (values) => flux`import "join"
means = ${meansOf(values)}
usual = join.inner(left: means |> mean(), right: means |> stddev(mode: "population"), on: (l, r) => l.host == r.host,
  as: (l, r) => ({l with mean: l._value, sigma: r._value}))
join.inner(left: means, right: usual, on: (l, r) => l.host == r.host, as: (l, r) => ({l with mean: r.mean, sigma: r.sigma}))
  |> filter(fn: (r) => r.sigma > 0.0)
  |> map(fn: (r) => ({r with z: (r._value - r.mean) / r.sigma}))
  |> filter(fn: (r) => r.z >= ${fluxExpression(SIGMAS)} or r.z <= -${fluxExpression(SIGMAS)})
  |> group()
  |> sort(columns: ["_time"], desc: true)
  |> limit(n: ${values.limit})`,
    read: (row) => ({
      ...trendPoint(row),
      z: row.number('z') ?? Number.NaN,
    }),
  }),
  'fleet-forecast': template<TrendPoint>({
    says: 'A host’s field as the server’s Holt–Winters sees it go on behind the range; of hours with a season of a day',
    needs: ['host', 'metricType', 'field'],
    flux: (values) => flux`${meansOf(values)}
  |> holtWinters(n: ${AHEAD[values.step]}, seasonality: ${SEASONS[values.step]}, interval: ${fluxExpression(values.step)})
  |> group()
  |> sort(columns: ["host", "_time"])
  |> limit(n: ${values.limit})`,
    read: trendPoint,
  }),
} as const;

const PLACE = new Set(['host', 'region', 'environment', 'service', 'metric_type']);
const FIGURES = new Set(['result', 'table', 'count', 'mean', 'min', 'max', 'sigma', 'z']);

function seriesOf(row: Row): StoredSeries {
  const tags = [...row.entries()].filter(
    ([name]) => !(name === '' || name.startsWith('_') || PLACE.has(name) || FIGURES.has(name)),
  );
  return { host: row.text('host') ?? '', tags: Object.fromEntries(tags) };
}

function trendPoint(row: Row): TrendPoint {
  return {
    start: row.timeMs('_time') ?? Number.NaN,
    ...seriesOf(row),
    mean: row.number('_value') ?? Number.NaN,
  };
}

/** Below 0: it was not read. */
function percent(row: Row, column: string): number | null {
  const value = row.number(column) ?? -1;
  return value < 0 ? null : value;
}

/** Plain comparisons go to the storage, with what follows them; `contains` would be asked of every reading. */
function isOneOf(column: string, values: readonly string[]) {
  const each = values.map((value) => flux`r[${column}] == ${value}`.toString());
  return fluxExpression(each.join(' or '));
}

function ofHosts({ host }: QueryValues) {
  if (host === undefined) return fluxExpression('');
  return flux`
  |> filter(fn: (r) => ${isOneOf('host', host.split(','))})`;
}

/** Each series with its tags, a table of its own. */
function fieldsOf(values: QueryValues, fields: readonly string[]) {
  const { from, to, step, metricType = '' } = values;
  return flux`from(bucket: ${fleetBucket(step)})
  |> range(start: ${instant(from)}, stop: ${instant(to)})
  |> filter(fn: (r) => r._measurement == ${FLEET_MEASUREMENT} and r.metric_type == ${metricType})${ofHosts(values)}
  |> filter(fn: (r) => ${isOneOf('_field', fields)})`;
}

/** Means of windows, at their starts. */
function meansOf(values: QueryValues) {
  const { step, field = '' } = values;
  if (step !== '5m') return fieldsOf(values, [`${field}_mean`]);
  return flux`${fieldsOf(values, [field])}
  |> aggregateWindow(every: 5m, fn: mean, timeSrc: "_start", createEmpty: false)`;
}

function comparedReadings(values: QueryValues) {
  return flux`readings = ${fieldsOf(values, [values.field ?? ''])}
figure = (tables=<-, name) => tables |> drop(columns: ["_time"]) |> set(key: "_field", value: name)
union(tables: [
  readings |> count() |> toFloat() |> figure(name: "count"),
  readings |> mean() |> figure(name: "mean"),
  readings |> min() |> figure(name: "min"),
  readings |> max() |> figure(name: "max"),
])
  |> pivot(rowKey: ["_start"], columnKey: ["_field"], valueColumn: "_value")`;
}

/** A mean of means counts each window by its readings. */
function comparedRollups(values: QueryValues) {
  const named = (figure: string) => `${values.field ?? ''}_${figure}`;
  return flux`${fieldsOf(values, ['count', 'mean', 'min', 'max'].map(named))}
  |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")
  |> reduce(
    identity: {count: 0.0, sum: 0.0, min: float(v: "+Inf"), max: float(v: "-Inf")},
    fn: (r, accumulator) => ({
      count: accumulator.count + float(v: r[${named('count')}]),
      sum: accumulator.sum + float(v: r[${named('count')}]) * r[${named('mean')}],
      min: if r[${named('min')}] < accumulator.min then r[${named('min')}] else accumulator.min,
      max: if r[${named('max')}] > accumulator.max then r[${named('max')}] else accumulator.max,
    }),
  )
  |> map(fn: (r) => ({r with mean: r.sum / r.count}))
  |> drop(columns: ["sum"])`;
}
