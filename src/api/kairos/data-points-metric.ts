/** One metric of a body, its fields read as their types with Gson's coercions. */
import {
  isArray,
  isObject,
  type JsonNumber,
  type JsonValue,
  javaDoubleOf,
  QueryFailed,
  QueryRefused,
  typedBoolean,
  typedString,
  unexpected,
} from '../../query/index.ts';

export interface MetricBody {
  readonly name: string | null;
  /** Milliseconds; null when neither `timestamp` nor `time` is given. */
  readonly timestamp: bigint | null;
  /** undefined when the field is missing. */
  readonly value: JsonValue | undefined;
  readonly datapoints: readonly (readonly JsonValue[])[];
  readonly tags: ReadonlyMap<string, string | null>;
  readonly type: string | null;
  readonly ttlSeconds: number;
  readonly skipValidate: boolean;
}

/** Throws QueryRefused for a field of another type, QueryFailed where KairosDB itself stumbles. */
export function metricOf(json: JsonValue, duplicates: ReadonlyMap<JsonValue, string>): MetricBody {
  if (json === null) throw new QueryFailed(null);
  if (!isObject(json)) throw unexpected('BEGIN_OBJECT', json);
  const field = <T>(name: string, read: (value: JsonValue) => T): T | null => {
    const value = json.get(name) ?? null;
    return value === null ? null : read(value);
  };
  return {
    name: field('name', typedString),
    timestamp: field('time', wholeNumber) ?? field('timestamp', wholeNumber),
    value: json.get('value'),
    datapoints: field('datapoints', pointsOf) ?? [],
    tags: field('tags', (tags) => tagsOf(tags, duplicates)) ?? new Map(),
    type: field('type', typedString),
    ttlSeconds: Number(BigInt.asIntN(32, field('ttl', wholeNumber) ?? 0n)),
    skipValidate: field('skip_validate', typedBoolean) ?? false,
  };
}

/** A number or text without a fraction: 1001.0 is one, 1001.5 is not. */
function wholeNumber(json: JsonValue): bigint {
  const text = typeof json === 'string' ? json : numberText(json);
  if (/^-?\d+$/.test(text)) {
    const value = BigInt(text);
    if (value === BigInt.asIntN(64, value)) return value;
  }
  try {
    const value = javaDoubleOf(text);
    if (Number.isInteger(value)) return BigInt.asIntN(64, BigInt(value));
  } catch {
    // Said below.
  }
  throw new QueryRefused(`java.lang.NumberFormatException: Expected a long but was ${text}`);
}

function numberText(json: JsonValue): string {
  if (json === null || typeof json !== 'object' || isArray(json) || isObject(json)) {
    throw unexpected('a long', json);
  }
  return (json as JsonNumber).text;
}

function pointsOf(json: JsonValue): readonly (readonly JsonValue[])[] {
  if (json === null || !isArray(json)) throw unexpected('BEGIN_ARRAY', json);
  return json.map((point) => {
    if (point === null) throw new QueryFailed(null);
    if (!isArray(point)) throw unexpected('BEGIN_ARRAY', point);
    return point;
  });
}

function tagsOf(
  json: JsonValue,
  duplicates: ReadonlyMap<JsonValue, string>,
): Map<string, string | null> {
  if (json === null || !isObject(json)) throw unexpected('BEGIN_OBJECT', json);
  const twice = duplicates.get(json);
  if (twice !== undefined) throw new QueryRefused(`duplicate key: ${twice}`);
  return new Map(
    [...json].map(([name, value]) => [name, value === null ? null : typedString(value)]),
  );
}
