/** A bucket of InfluxDB, read back for `verify`. */
import {
  bucketInfluxql,
  bucketRetentionMs,
  encodeLine,
  type InfluxConfig,
  storedMeasurement,
  storedName,
} from '../../databases/influx/index.ts';
import type { PointForm } from '../../jobs/index.ts';
import { type FieldValue, type Point, PoisonError } from '../../model/index.ts';
import type { Clock } from '../../runtime/index.ts';
import { quote, type Side, tagsText, valueText } from './side.ts';

/** Rows that one query asks for, at most. */
const INFLUX_ROWS_MAX = 50_000;
const NS_PER_MS = 1_000_000n;

export function influxSide(config: InfluxConfig, bucket: string, clock: Clock): Side<Point> {
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
    async retention(signal) {
      const retentionMs = await bucketRetentionMs(config, bucket, signal);
      const keptMs = retentionMs === 0 ? Number.NEGATIVE_INFINITY : clock.now() - retentionMs;
      return { keeps: (point) => influxForm.timeMs(point) >= keptMs };
    },
  };
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
