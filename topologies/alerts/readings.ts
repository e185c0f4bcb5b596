/** From a host's reading to the few numbers that rules judge, and from their windows to observations. */
import type { FleetAnomaly, MetricType } from '../../src/model/index.ts';
import {
  forEachRow,
  jsonValues,
  type Mean,
  madeFrom,
  type Operator,
  operator,
  Table,
  type Windowed,
} from '../../src/stream/index.ts';
import type { MetricRow } from '../fleet-metrics/system-metric.ts';
import type { Observation } from './observation.ts';

/** One number of one host (and mount). Texts only, and `value`: windows group by columns. */
export interface Reading {
  readonly measure: string;
  readonly key: string;
  readonly subject: string;
  /** JSON. */
  readonly labels: string;
  readonly value: number;
  /** Event time of the first reading of this series, ms, as text. */
  readonly since: string;
}

/** The agent's name first; the others are what people's own agents call it. */
const fields: Partial<Record<MetricType, { measure: string; names: readonly string[] }>> = {
  cpu: { measure: 'cpu.usage', names: ['usage_percent', 'usage', 'used_percent', 'percent'] },
  memory: { measure: 'memory.used', names: ['used_percent', 'usage_percent', 'usage', 'percent'] },
  disk: { measure: 'disk.used', names: ['used_percent', 'usage_percent', 'usage', 'percent'] },
};

const FORGET_MS = 86_400_000;

interface Series {
  readonly first: number;
  readonly last: number;
}

/** Readings that a rule may judge, each with the time since which its series is known. */
export function readings(): Operator<MetricRow, Reading> {
  return operator<MetricRow, Reading>({ kind: 'readings', detail: {} }, (task) => {
    const known = new Table<Series>(jsonValues());
    task.store(known);
    let sweptAt = Number.NEGATIVE_INFINITY;
    return {
      next: (batch, emit) => {
        const rows: Reading[] = [];
        const from: number[] = [];
        forEachRow(batch, (i) => {
          const row = batch.row(i);
          const wanted = fields[row.metricType];
          const value = wanted?.names.map((name) => row.fields[name]).find((v) => v !== undefined);
          if (wanted === undefined || value === undefined) return;
          const key = row.reading;
          const series = known.get(key);
          const first = Math.min(series?.first ?? row.timestamp, row.timestamp);
          // Written now and then only: that it is still there is all that `last` is for.
          if (series === undefined || row.timestamp > series.last + FORGET_MS / 8) {
            known.set(key, { first, last: row.timestamp });
          }
          const tags = Object.values(row.tags ?? {});
          rows.push({
            measure: wanted.measure,
            key,
            subject: [row.host, ...tags].join(' '),
            labels: JSON.stringify(labelsOf(row)),
            value,
            since: String(first),
          });
          from.push(i);
        });
        if (batch.watermark > sweptAt + FORGET_MS / 8) {
          sweptAt = batch.watermark;
          for (const [key, { last }] of [...known.entries()])
            if (last < sweptAt - FORGET_MS) known.delete(key);
        }
        emit(madeFrom(batch, rows, from));
      },
    };
  });
}

/** A closed window as an observation at its end; none when its series began within it, as half a window is no mean of five minutes. */
export function meanObserved(
  { key: [measure, key], carried, state, start, end }: Windowed<Mean>,
  hopMs: number,
): readonly Observation[] {
  if (state === undefined || state.count === 0) return [];
  if (Number(carried.since) > start + hopMs) return [];
  return [
    {
      measure: measure as string,
      key: key as string,
      subject: carried.subject ?? '',
      labels: JSON.parse(carried.labels ?? '{}') as Record<string, string>,
      value: state.mean,
      at: end,
    },
  ];
}

export function anomalyObserved(anomaly: FleetAnomaly): Observation {
  const { host, metricType, field, tags, window, score } = anomaly;
  const tagged = Object.values(tags);
  return {
    measure: 'fleet.anomaly',
    key: JSON.stringify([host, metricType, field, tags]),
    subject: [host, `${metricType}.${field}`, ...tagged].join(' '),
    labels: { ...labelsOf(anomaly), metricType, field },
    value: score,
    at: window.end,
  };
}

type Placed = Pick<FleetAnomaly, 'host' | 'region' | 'environment'> & {
  readonly service?: string;
  readonly tags?: Readonly<Record<string, string>>;
};

const labelsOf = ({
  host,
  region,
  environment,
  service,
  tags,
}: Placed): Record<string, string> => ({
  ...tags,
  host,
  region,
  environment,
  ...(service === undefined ? {} : { service }),
});
