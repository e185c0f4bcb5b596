/**
 * A rollup task's JSON, read and checked as KairosDB 1.3 does (spec §7), and made into queries: of each metric the
 * buckets of its last range aggregator, whose points are stored under `save_as`. The grid of buckets hangs on the time
 * the task was written, so that every process and every restart cuts time alike.
 */
import { aggregators } from '../aggregators/index.ts';
import { bucketsOf, type RangeGiven, rangeProperties } from '../aggregators/range.ts';
import { QueryFailed, QueryRefused } from '../errors.ts';
import { JsonFault, JsonReader } from '../json/json-reader.ts';
import {
  isArray,
  isObject,
  JsonNumber,
  type JsonObject,
  type JsonValue,
  jsonText,
  stringOf,
  tokenOf,
  typedLong,
  typedString,
} from '../json/json-value.ts';
import { ContextualFault, violation } from '../parse/faults.ts';
import { readProperties, timeZone } from '../parse/property.ts';
import { type MetricQuery, parseQueryObject } from '../parse/query.ts';
import type { Buckets } from '../time/buckets.ts';
import { type TimeSpan, timeUnitOf, timeUnits } from '../time/time-unit.ts';
import { UTC } from '../time/zone.ts';

export interface RollupTask {
  readonly name: string;
  /** The unit is absent in tasks that KairosDB takes all the same; such a task can't be scheduled. */
  readonly interval: { readonly value: number; readonly unit: TimeSpan['unit'] | undefined };
  readonly queries: readonly RollupQuery[];
}

export interface RollupQuery {
  readonly saveAs: string;
  /** Its times are to be replaced by a bucket's; it ends in `save_as`. */
  readonly query: MetricQuery;
  readonly buckets: Buckets;
}

export interface RollupDocument {
  /** The JSON's own id, where it has one. */
  readonly id: string | undefined;
  readonly task: RollupTask;
  /** The JSON as it is stored: compact, with this id as its first member unless it is its own. */
  textWith(id: string): string;
}

/** Throws QueryRefused (400) or QueryFailed (500). `nowMs` is what relative times count back from. */
export function parseRollupTask(text: string, nowMs: number): RollupDocument {
  const json = readTask(text);
  const id = field(json, 'id', typedString);
  const name = field(json, 'name', typedString);
  const interval = field(json, 'execution_interval', intervalOf);
  const wrong = [
    ...(name === undefined ? ['name may not be null'] : []),
    ...(name === '' ? ['name may not be empty'] : []),
    ...(interval === undefined ? ['executionInterval may not be null'] : []),
  ];
  if (wrong.length > 0) throw new QueryRefused(wrong);
  return {
    id,
    task: {
      name: name as string,
      interval: interval as RollupTask['interval'],
      queries: rollupsOf(json, nowMs),
    },
    textWith: (own) =>
      storedText(
        own === id ? json : new Map<string, JsonValue>([['id', own], ...[...json].filter(notId)]),
      ),
  };
}

const notId = ([key]: readonly [string, JsonValue]): boolean => key !== 'id';

/** Gson escapes these two, and leaves everything else that JSON lets stand. */
const storedText = (json: JsonObject): string =>
  jsonText(json).replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029');

function readTask(text: string): JsonObject {
  let json: JsonValue;
  try {
    json = new JsonReader(text).readDocument();
  } catch (error) {
    if (!(error instanceof JsonFault)) throw error;
    if (error.eof && /^\s*$/.test(text)) throw new QueryFailed(null);
    throw new QueryFailed(error.wrapped);
  }
  return objectOf(json);
}

function objectOf(json: JsonValue | undefined): JsonObject {
  if (json === undefined) throw new QueryFailed('cannot validate null');
  if (json === null || !isObject(json)) {
    throw new QueryFailed(`Not a JSON Object: ${jsonText(json)}`);
  }
  return json;
}

/** null is absent. What Gson can't read is 500 here, not 400 as in queries. */
function field<T>(json: JsonObject, name: string, read: (value: JsonValue) => T): T | undefined {
  const value = json.get(name);
  return value === undefined || value === null ? undefined : asFailure(() => read(value));
}

function asFailure<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof ContextualFault) throw new QueryFailed(error.message);
    if (error instanceof QueryRefused && !isViolation(error)) throw new QueryFailed(error.message);
    throw error;
  }
}

/** Violated constraints begin with their place in the task; all else is an exception's text. */
const isViolation = ({ message }: QueryRefused): boolean =>
  !/^(?:java\.|com\.google\.|Property ')/.test(message);

function intervalOf(json: JsonValue): RollupTask['interval'] {
  if (json === null || !isObject(json)) {
    throw new QueryFailed(
      `java.lang.IllegalStateException: Expected BEGIN_OBJECT but was ${tokenOf(json)}`,
    );
  }
  const unitText = field(json, 'unit', typedString);
  const unit = unitText === undefined ? undefined : timeUnitOf(unitText);
  if (unitText !== undefined && unit === undefined) {
    throw new QueryFailed(`is not a valid time unit, must be one of ${timeUnits.join(',')}`);
  }
  return { value: Number(field(json, 'value', typedLong) ?? 0n), unit };
}

function rollupsOf(json: JsonObject, nowMs: number): RollupQuery[] {
  const given = json.get('rollups');
  if (given === undefined) return [];
  if (given === null || !isArray(given)) throw notOfClass(given, 'JsonArray');
  const found: RollupQuery[] = [];
  // KairosDB never takes a context off again.
  let context = '';
  for (const [i, each] of given.entries()) {
    const rollup = objectOf(each);
    const saveAs = field(rollup, 'save_as', typedString);
    const zone = field(rollup, 'time_zone', timeZone.read) ?? UTC;
    context = `${context}rollup[${i}]`;
    if (saveAs === undefined) throw violation(context, 'saveAs', 'may not be null');
    if (saveAs === '') throw violation(context, 'saveAs', 'may not be empty');
    const query = rollup.get('query');
    if (query !== undefined && (query === null || !isObject(query))) {
      throw notOfClass(query, 'JsonObject');
    }
    const object = objectOf(query);
    const zoneName = zone === UTC ? 'UTC' : stringOf(rollup.get('time_zone') as JsonValue);
    const here = context;
    const { metrics } = asFailure(() => parseQueryObject(object, nowMs, here));
    for (const [j, metric] of metrics.entries()) {
      context += `.query[${j}]`;
      const one = (object.get('metrics') as readonly JsonObject[])[j] as JsonObject;
      const last = lastRange(one);
      if (last === undefined) {
        throw violation(
          context,
          'aggregator',
          'At least one aggregator must be a range aggregator',
        );
      }
      const changed = executable(one, last, { saveAs, zoneName });
      const [executed] = parseQueryObject(
        new Map([...object, ['metrics', [changed]]]),
        nowMs,
      ).metrics;
      found.push({
        saveAs,
        query: executed as MetricQuery,
        buckets: gridOf(changed, last, metric),
      });
    }
  }
  return found;
}

const aggregatorsOf = (metric: JsonObject): readonly JsonObject[] =>
  (metric.get('aggregators') ?? []) as readonly JsonObject[];

const kindOf = (aggregator: JsonObject) =>
  aggregators.get(stringOf(aggregator.get('name') as JsonValue));

/** Position of the last aggregator that makes one point of each bucket. */
function lastRange(metric: JsonObject): number | undefined {
  const at = aggregatorsOf(metric).findLastIndex((each) =>
    Object.hasOwn(kindOf(each)?.properties ?? {}, 'align_sampling'),
  );
  return at === -1 ? undefined : at;
}

/** The metric as it is run: its last range aligned in the rollup's zone, and its points saved. */
function executable(
  metric: JsonObject,
  last: number,
  { saveAs, zoneName }: { readonly saveAs: string; readonly zoneName: string },
): JsonObject {
  const all = aggregatorsOf(metric).map((each, i) =>
    i === last
      ? new Map<string, JsonValue>([...each, ['align_sampling', true], ['time_zone', zoneName]])
      : each,
  );
  const save: JsonObject = new Map([
    ['name', 'save_as'],
    ['metric_name', saveAs],
  ]);
  return new Map<string, JsonValue>([...metric, ['aggregators', [...all, save]]]);
}

function gridOf(metric: JsonObject, last: number, { startMs, endMs }: MetricQuery): Buckets {
  const aggregator = aggregatorsOf(metric)[last] as JsonObject;
  const kind = kindOf(aggregator) as NonNullable<ReturnType<typeof kindOf>>;
  const own = new Map([...aggregator].filter(([key]) => key === 'name' || key in rangeProperties));
  const given = readProperties({ ...kind, properties: rangeProperties }, own, '') as RangeGiven;
  return bucketsOf(given, { startMs, endMs, nowMs: startMs, zone: UTC, groupTags: [] });
}

function notOfClass(json: JsonValue, wanted: string): QueryFailed {
  const kind =
    json === null
      ? 'JsonNull'
      : isArray(json)
        ? 'JsonArray'
        : json instanceof JsonNumber || !isObject(json)
          ? 'JsonPrimitive'
          : 'JsonObject';
  const google = (name: string) => `com.google.gson.${name}`;
  return new QueryFailed(
    `class ${google(kind)} cannot be cast to class ${google(wanted)} (${google(kind)} and ${google(wanted)} are in unnamed module of loader 'app')`,
  );
}
