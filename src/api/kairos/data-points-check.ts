/** Checks a metric as KairosDB does, message for message, and turns what is good into points. */
import type { DataPoint } from '../../model/index.ts';
import {
  doubleOf,
  isArray,
  isObject,
  JsonNumber,
  type JsonValue,
  longOf,
  QueryFailed,
  stringOf,
} from '../../query/index.ts';
import type { MetricBody } from './data-points-metric.ts';

/** `index` is the metric's place in the body. Throws QueryFailed or SyntaxError where KairosDB answers 500. */
export function takeMetric(
  metric: MetricBody,
  index: number,
  points: DataPoint[],
  errors: string[],
): void {
  const place = `metric[${index}]`;
  if (!metric.skipValidate) {
    const wrong = reasonsAgainst(metric, place);
    if (wrong.length > 0) {
      errors.push(...wrong);
      return;
    }
  }
  const context = metric.skipValidate ? place : `${place}(name=${metric.name})`;
  const { timestamp, value, ttlSeconds } = metric;
  const add = (timestampMs: bigint, type: string, json: JsonValue) => {
    if (metric.name === null) throw new QueryFailed(null);
    points.push({
      metric: metric.name,
      tags: tagRecord(metric),
      timestampMs: Number(timestampMs),
      value: typedValue(type, json),
      ...(ttlSeconds === 0 ? {} : { ttlSeconds }),
    });
  };
  if (timestamp !== null && value !== undefined) {
    const type = metric.type ?? typeOf(value);
    if (type === undefined) errors.push(`${context} value is an invalid type`);
    else if (!isRegistered(type)) errors.push(`Unregistered data point type '${type}'`);
    else add(timestamp, type, value);
  }
  // Counts good points only, as KairosDB's own counter does.
  let good = 0;
  for (const point of metric.datapoints) {
    if (point === null) throw new QueryFailed(null);
    const at = `${context}.datapoints[${good}]`;
    const [time, pointValue, pointType] = point;
    if (time === undefined) {
      errors.push(`${at}.timestamp cannot be null or empty.`);
      continue;
    }
    if (pointValue === undefined) {
      errors.push(`${at}.value cannot be null or empty.`);
      continue;
    }
    const timestampMs = time === null ? null : longOf(time);
    if (timestampMs === null && !metric.skipValidate) {
      errors.push(`${at}.timestamp may not be null.`);
      continue;
    }
    const ownType = pointType === undefined ? metric.type : stringOf(pointType);
    const missing = reasonAgainstValue(pointValue);
    if (missing !== undefined) {
      errors.push(`${at}.value ${missing}`);
      continue;
    }
    const type = ownType ?? typeOf(pointValue);
    if (type === undefined) errors.push(`${context} value is an invalid type`);
    else if (!isRegistered(type)) errors.push(`Unregistered data point type '${type}'`);
    else {
      if (timestampMs === null) throw new QueryFailed(null);
      add(timestampMs, type, pointValue);
      good++;
    }
  }
}

function reasonsAgainst({ name, timestamp, value, tags }: MetricBody, place: string): string[] {
  const wrong: string[] = [];
  let context = place;
  if (name === null) wrong.push(`${place}.name may not be null.`);
  else if (name === '') wrong.push(`${place}.name may not be empty.`);
  else context = `${place}(name=${name})`;
  if (timestamp !== null) {
    const reason = value === undefined ? 'may not be null.' : reasonAgainstValue(value);
    if (reason !== undefined) wrong.push(`${context}.value ${reason}`);
  } else if (value !== undefined && value !== null) {
    wrong.push(`${context}.timestamp may not be null.`);
  }
  if (tags.size === 0) {
    wrong.push(`${context}.tags count must be greater than or equal to 1.`);
  }
  let position = 0;
  for (const [tag, text] of tags) {
    const at = `${context}.tag[${tag === '' ? position : tag}]`;
    if (tag === '') wrong.push(`${at}.name may not be empty.`);
    if (text === null) wrong.push(`${at}.value may not be null.`);
    else if (text === '') wrong.push(`${at}.value may not be empty.`);
    position++;
  }
  return wrong;
}

function reasonAgainstValue(value: JsonValue): string | undefined {
  if (value === null) return 'may not be empty.';
  if (isArray(value) && value.length === 0) return 'may not be an empty array.';
  if (!isObject(value) && stringOf(value) === '') return 'may not be empty.';
  return undefined;
}

/** Tags may only be checked by skipped checks: a missing value is then KairosDB's own trouble. */
function tagRecord({ tags }: MetricBody): Record<string, string> {
  const entries = [...tags].map(([name, value]) => {
    if (value === null) throw new QueryFailed(null);
    return [name, value] as const;
  });
  return Object.fromEntries(entries);
}

const isRegistered = (type: string): boolean =>
  type === 'long' || type === 'double' || type === 'string';

/** The type of a value that comes without one; undefined for what is no scalar. */
function typeOf(value: JsonValue): string | undefined {
  if (value === null || isArray(value) || isObject(value)) return undefined;
  const isNumeric =
    value instanceof JsonNumber ||
    (typeof value === 'string' && /^[+.-]?(?=.*\p{Nd}$)\p{Nd}*\.?\p{Nd}*$/u.test(value));
  if (!isNumeric) return 'string';
  return stringOf(value).includes('.') ? 'double' : 'long';
}

function typedValue(type: string, json: JsonValue): DataPoint['value'] {
  switch (type) {
    case 'long':
      return json === null ? 0n : longOf(json);
    case 'double':
      return json === null ? 0 : doubleOf(json);
    default:
      return stringOf(json);
  }
}
