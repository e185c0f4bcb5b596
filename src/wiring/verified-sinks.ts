/** Joins feeds and the databases they end in for `tidemark verify`: how each tells what it holds. */
import {
  bucketInfluxql,
  bucketRetentionMs,
  encodeLine,
  type InfluxConfig,
  storedMeasurement,
  storedName,
} from '../databases/influx/index.ts';
import { type KairosStore, reasonAgainstPoint } from '../databases/kairos/index.ts';
import type { PointForm, VerifiedFeed, VerifiedSink } from '../jobs/index.ts';
import { type DataPoint, type FieldValue, type Point, PoisonError } from '../model/index.ts';
import type { Clock } from '../runtime/index.ts';
import type { Topology } from '../stream/index.ts';
import { type BoundFeed, kairosWriteOptions } from './feeds.ts';

export interface VerifiedSinksParts {
  readonly feeds: readonly BoundFeed[];
  /** Feeds that are only replayed, into sinks of live ones: `NAME.migrated`. */
  readonly replayed: readonly Topology[];
  readonly influx: InfluxConfig | undefined;
  readonly kairos: KairosStore;
  readonly clock: Clock;
}

/** Sinks in InfluxDB and in KairosDB's store; a process's own stores are made again from the log instead. */
export function verifiedSinks(parts: VerifiedSinksParts): readonly VerifiedSink[] {
  const { feeds, replayed, influx, kairos, clock } = parts;
  return feeds.flatMap((bound): VerifiedSink[] => {
    const { feed, sink, group, port } = bound;
    const beside = replayed.filter(
      ({ name, sinks }) => name === `${feed.name}.migrated` && sinks.includes(sink),
    );
    const base = {
      name: feed.name,
      port,
      feeds: [
        ...beside.map((topology): VerifiedFeed => ({ topology, group: undefined })),
        { topology: feed, group },
      ],
    };
    if (sink === 'kairos') return [{ ...base, ...kairosSide(kairos) }];
    if (!sink.startsWith('influx:') || influx === undefined) return [];
    const bucket = sink.slice('influx:'.length);
    return [{ ...base, ...influxSide(influx, bucket, clock) }];
  });
}

/** Rows that one query asks for, at most. */
const INFLUX_ROWS_MAX = 50_000;
const NS_PER_MS = 1_000_000n;

type Side<P> = Pick<VerifiedSink<P>, 'points' | 'stored' | 'keptSinceMs'>;

function influxSide(config: InfluxConfig, bucket: string, clock: Clock): Side<Point> {
  const reader = bucketInfluxql(config, bucket, `InfluxDB, bucket "${bucket}",`);
  return {
    points: influxForm,
    async *stored({ fromMs, toMs }, names, signal) {
      for (const measurement of names) {
        const schema = await reader.schema(measurement, signal);
        if (schema.fields.length === 0) continue;
        const slice = {
          measurement,
          schema,
          fromNs: BigInt(fromMs) * NS_PER_MS,
          toNs: BigInt(toMs) * NS_PER_MS,
          maxRows: INFLUX_ROWS_MAX,
        };
        yield* reader.points(slice, signal);
      }
    },
    async keptSinceMs(signal) {
      const retentionMs = await bucketRetentionMs(config, bucket, signal);
      return retentionMs === 0 ? Number.NEGATIVE_INFINITY : clock.now() - retentionMs;
    },
  };
}

const quote = (text: string): string => (/[,= "\n]/.test(text) ? JSON.stringify(text) : text);
const tagsText = (tags: Readonly<Record<string, string>>, named = (name: string) => name) =>
  Object.keys(tags)
    .map((key) => `,${quote(named(key))}=${quote(named(tags[key] as string))}`)
    .sort()
    .join('');

function valueText(value: FieldValue): string {
  if (typeof value === 'bigint') return `${value}i`;
  if (typeof value === 'string') return JSON.stringify(value);
  return Object.is(value, -0) ? '-0' : `${value}`;
}

/** As line protocol reads, but in one order. */
const influxForm: PointForm<Point> = {
  name: ({ measurement }) => storedMeasurement(measurement),
  timeMs: ({ timestampNs }) =>
    Number((timestampNs - (((timestampNs % NS_PER_MS) + NS_PER_MS) % NS_PER_MS)) / NS_PER_MS),
  identity: ({ measurement, tags, timestampNs }) => {
    // A tag without a value is left out when it is written.
    const kept = Object.fromEntries(Object.entries(tags).filter(([, value]) => value !== ''));
    return `${quote(storedMeasurement(measurement))}${tagsText(kept, storedName)} ${timestampNs}`;
  },
  value: ({ fields }) =>
    Object.keys(fields)
      .map((key) => `${quote(storedName(key))}=${valueText(fields[key] as FieldValue)}`)
      .sort()
      .join(','),
  // A field that the newer one has not keeps its value.
  merge: (older, newer) => ({ ...newer, fields: { ...older.fields, ...newer.fields } }),
  isRefused(point) {
    try {
      encodeLine(point);
      return false;
    } catch (error) {
      if (error instanceof PoisonError) return true;
      throw error;
    }
  },
};

function kairosSide(store: KairosStore): Side<DataPoint> {
  return {
    points: kairosForm,
    async *stored({ fromMs, toMs }, names, signal) {
      await store.connect(signal);
      for (const metric of names) {
        for await (const points of store.readSeries({ metric, fromMs, toMs })) {
          signal.throwIfAborted();
          yield points;
        }
      }
    },
    keptSinceMs: async () => Number.NEGATIVE_INFINITY,
  };
}

const kairosForm: PointForm<DataPoint> = {
  name: ({ metric }) => metric,
  timeMs: ({ timestampMs }) => timestampMs,
  // Points of several types stand beside each other.
  identity: ({ metric, tags, timestampMs, value }) =>
    `${quote(metric)}${tagsText(tags)} ${timestampMs} ${typeof value === 'bigint' ? 'long' : typeof value === 'number' ? 'double' : 'string'}`,
  value: ({ value }) => valueText(value),
  merge: (_, newer) => newer,
  isRefused: (point) =>
    reasonAgainstPoint(point, kairosWriteOptions.nonFinite ?? 'reject') !== undefined,
};
