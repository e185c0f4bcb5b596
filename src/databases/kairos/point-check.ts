/** What makes a point unstorable for ever; whatever passes here a store can take. */
import type { DataPoint } from '../../model/index.ts';
import { TIMESTAMP_MS_MAX } from './column.ts';
import { MODIFIED_UTF8_BYTES_MAX, modifiedUtf8Length } from './modified-utf8.ts';
import { ROW_KEY_BYTES_MAX } from './row-key.ts';
import { LONG_MAX, LONG_MIN } from './value.ts';

/** Cassandra reads the length of a part of a compound partition key as a signed 16-bit number. */
export const METRIC_BYTES_MAX = 32_767;

/**
 * Names and tags of one series: the reason against them, or undefined. Cassandra's bounds (a key, a clustering
 * column and an index entry take 64 KiB) are met by a limit on the row key that leaves room for the index rows.
 */
export function reasonAgainstSeries(
  metric: string,
  tags: Readonly<Record<string, string>>,
): string | undefined {
  if (metric === '') return 'the metric has no name';
  if (metric.includes('\0')) return 'the metric name holds U+0000';
  if (!metric.isWellFormed()) return 'the metric name holds half a surrogate pair';
  const metricBytes = Buffer.byteLength(metric);
  if (metricBytes > METRIC_BYTES_MAX) {
    return `the metric name has ${metricBytes} bytes: at most ${METRIC_BYTES_MAX}`;
  }
  // As Cassandra writes a map: a count, then each text behind its length.
  let bytes = metricBytes + 64;
  for (const [name, value] of Object.entries(tags)) {
    if (typeof value !== 'string') return `tag ${JSON.stringify(name)} is no text`;
    if (!name.isWellFormed() || !value.isWellFormed()) {
      return `tag ${JSON.stringify(name)} holds half a surrogate pair`;
    }
    // Each sign may be escaped by another one.
    bytes +=
      8 + signsIn(name) + signsIn(value) + Buffer.byteLength(name) + Buffer.byteLength(value);
  }
  return bytes > ROW_KEY_BYTES_MAX
    ? `metric and tags need ${bytes} bytes: at most ${ROW_KEY_BYTES_MAX}`
    : undefined;
}

/** Time and value of one point: the reason against them, or undefined. */
export function reasonAgainstValue(
  { timestampMs, value }: Pick<DataPoint, 'timestampMs' | 'value'>,
  nonFinite: 'reject' | 'store',
): string | undefined {
  if (!Number.isInteger(timestampMs) || Math.abs(timestampMs) > TIMESTAMP_MS_MAX) {
    return `time ${timestampMs} is no whole number of milliseconds within ±${TIMESTAMP_MS_MAX}`;
  }
  switch (typeof value) {
    case 'bigint':
      return value < LONG_MIN || value > LONG_MAX ? `${value} does not fit 64 bits` : undefined;
    case 'number':
      return nonFinite === 'reject' && !Number.isFinite(value)
        ? `${value} would make every query of the series fail in KairosDB`
        : undefined;
    case 'string': {
      const bytes = modifiedUtf8Length(value);
      return bytes > MODIFIED_UTF8_BYTES_MAX
        ? `the text needs ${bytes} bytes: at most ${MODIFIED_UTF8_BYTES_MAX}`
        : undefined;
    }
    default:
      return `a value is a bigint, a number or a string, not ${typeof value}`;
  }
}

/** All of one point. */
export const reasonAgainstPoint = (
  point: DataPoint,
  nonFinite: 'reject' | 'store',
): string | undefined =>
  reasonAgainstSeries(point.metric, point.tags) ?? reasonAgainstValue(point, nonFinite);

const signsIn = (text: string): number => text.match(/[:=]/g)?.length ?? 0;
