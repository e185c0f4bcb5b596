/**
 * A query's JSON, read and checked as KairosDB 1.3's QueryParser does: metric after metric, in each group_by before
 * aggregators, stopping at the first object that is wrong. Throws QueryRefused (400) or QueryFailed (500).
 */

import type { Aggregator, QueryFrame } from '../aggregators/index.ts';
import { QueryFailed, QueryRefused } from '../errors.ts';
import type { GroupBy, TagGroupBy } from '../group-by/index.ts';
import { JsonFault, JsonReader } from '../json/json-reader.ts';
import {
  booleanOf,
  intOf,
  isArray,
  isObject,
  type JsonObject,
  type JsonValue,
  jsonText,
  stringOf,
  typedInt,
  typedLong,
} from '../json/json-value.ts';
import { timeBefore } from '../time/relative-time.ts';
import type { TimeSpan } from '../time/time-unit.ts';
import { UTC, type Zone } from '../time/zone.ts';
import { ContextualFault, violation, violationText, withinGson } from './faults.ts';
import { parseAggregators, parseGroupBys } from './processors.ts';
import { timeSpan, timeZone } from './property.ts';

export interface MetricQuery {
  readonly name: string;
  /** Both included; `endMs` is Infinity when the query leaves it open. */
  readonly startMs: number;
  readonly endMs: number;
  /** By name the values of which any will do; names without values are left out. */
  readonly tags: ReadonlyMap<string, readonly string[]>;
  readonly excludeTags: boolean;
  /** Points of each group, and of each stored row; 0 = all. */
  readonly limit: number;
  readonly order: 'ascending' | 'descending';
  /** The first of the query's tag group-bys; others have no effect. */
  readonly tagGroupBy: TagGroupBy | undefined;
  readonly groupBys: readonly GroupBy[];
  readonly aggregators: readonly Aggregator[];
}

export interface Query {
  readonly metrics: readonly MetricQuery[];
  readonly cacheSeconds: number;
}

/** `nowMs` is what relative times count back from. */
export function parseQuery(text: string, nowMs: number): Query {
  const json = readQueryJson(text);
  if (json === null || !isObject(json)) {
    throw new QueryFailed(`Not a JSON Object: ${jsonText(json)}`);
  }
  return parseQueryObject(json, nowMs);
}

/** A query inside of a rollup task has the task's `context` before its own. */
export function parseQueryObject(json: JsonObject, nowMs: number, context = ''): Query {
  const frame = parseFrame(json);
  refusePlugins(json.get('plugins'), '');
  const metrics = json.get('metrics');
  if (metrics === undefined) {
    throw violation(`${context}query`, 'metric[]', 'must have a size of at least 1');
  }
  if (metrics === null || !isArray(metrics)) {
    throw new QueryFailed('metrics cannot be cast to class com.google.gson.JsonArray');
  }
  return {
    cacheSeconds: frame.cacheSeconds,
    metrics: metrics.map((metric, i) =>
      parseMetric(metric, frame, `${context === '' ? '' : `${context}.`}query.metric[${i}]`, nowMs),
    ),
  };
}

function readQueryJson(text: string): JsonValue {
  try {
    return new JsonReader(text).readDocument();
  } catch (error) {
    if (!(error instanceof JsonFault)) throw error;
    // Nothing but white space is null to Gson.
    if (error.eof && /^\s*$/.test(text)) return null;
    throw new QueryRefused(error.wrapped);
  }
}

/** What stands beside the metrics. */
interface Frame {
  readonly startAbsolute: number | undefined;
  readonly endAbsolute: number | undefined;
  readonly startRelative: TimeSpan | undefined;
  readonly endRelative: TimeSpan | undefined;
  readonly cacheSeconds: number;
  readonly zone: Zone;
}

function parseFrame(json: JsonObject): Frame {
  const field = <T>(name: string, read: (value: JsonValue) => T): T | undefined => {
    const value = json.get(name);
    return value === undefined || value === null ? undefined : withinGson(() => read(value));
  };
  try {
    const frame = {
      startAbsolute: field('start_absolute', (value) => Number(typedLong(value))),
      endAbsolute: field('end_absolute', (value) => Number(typedLong(value))),
      cacheSeconds: field('cache_time', typedInt) ?? 0,
      startRelative: field('start_relative', timeSpan.read) ?? undefined,
      endRelative: field('end_relative', timeSpan.read) ?? undefined,
      zone: field('time_zone', timeZone.read) ?? UTC,
    };
    const spans = { start_relative: frame.startRelative, end_relative: frame.endRelative };
    const wrong: string[] = [];
    if (frame.cacheSeconds < 0) wrong.push('cache_time must be greater than or equal to 0');
    for (const [name, span] of Object.entries(spans)) {
      for (const [path, message] of span === undefined ? [] : (timeSpan.violations?.(span) ?? [])) {
        wrong.push(violationText(name, path, message));
      }
    }
    if (wrong.length > 0) throw new QueryRefused(wrong);
    return frame;
  } catch (error) {
    if (error instanceof ContextualFault) throw error.within('query');
    throw error;
  }
}

function parseMetric(json: JsonValue, frame: Frame, context: string, nowMs: number): MetricQuery {
  if (json === null) throw new QueryFailed('cannot validate null');
  if (!isObject(json)) throw notAnObject(json);
  const own = withinGson(() => parseOwn(json, context));
  if (own.name === undefined) throw violation(context, 'name', 'may not be null');
  if (own.name === '') throw violation(context, 'name', 'may not be empty');
  const { startMs, endMs } = timesOf(frame, context, nowMs);
  const groupBys = parseGroupBys(json.get('group_by'), context, startMs);
  const query: QueryFrame = {
    startMs,
    endMs,
    nowMs,
    zone: frame.zone,
    groupTags: groupBys.allTags,
  };
  const aggregators = parseAggregators(json.get('aggregators'), context, query);
  refusePlugins(json.get('plugins'), context);
  return {
    ...own,
    name: own.name,
    startMs,
    endMs,
    order: orderOf(json.get('order'), context),
    tagGroupBy: groupBys.tagGroupBy,
    groupBys: groupBys.groupBys,
    aggregators,
  };
}

function parseOwn(json: JsonObject, context: string) {
  const read = <T>(name: string, as: (value: JsonValue) => T): T | undefined => {
    const value = json.get(name);
    return value === undefined ? undefined : as(value);
  };
  const name = read('name', stringOf);
  const excludeTags = read('exclude_tags', booleanOf) ?? false;
  const tags = read('tags', (value) => tagsOf(value, context)) ?? new Map<string, string[]>();
  try {
    return { name, excludeTags, tags, limit: read('limit', intOf) ?? 0 };
  } catch (error) {
    if (error instanceof SyntaxError) throw new QueryFailed(error.message);
    throw error;
  }
}

function tagsOf(json: JsonValue, context: string): Map<string, string[]> {
  if (json === null || !isObject(json)) throw notAnObject(json);
  const tags = new Map<string, string[]>();
  let position = 0;
  for (const [name, given] of json) {
    if (name === '') throw violation(context, `tags[${position}]`, 'name must not be empty');
    const values = given !== null && isArray(given) ? given : [given];
    const texts = values.map((value) => {
      if (value !== null && stringOf(value) !== '') return stringOf(value);
      const at = `tags[${position}].${name}`;
      throw violation(context, at, 'value must not be null or empty');
    });
    if (texts.length > 0) tags.set(name, texts);
    position++;
  }
  return tags;
}

function timesOf(frame: Frame, context: string, nowMs: number) {
  const { startAbsolute, startRelative, endAbsolute, endRelative } = frame;
  const startMs = startAbsolute ?? (startRelative && timeBefore(nowMs, startRelative));
  if (startMs === undefined) {
    throw violation(context, 'start_time', 'relative or absolute time must be set');
  }
  const endMs =
    endAbsolute ?? (endRelative && timeBefore(nowMs, endRelative)) ?? Number.POSITIVE_INFINITY;
  if (endMs < startMs) {
    throw violation(context, 'end_time', 'must be greater than the start time');
  }
  return { startMs, endMs };
}

function orderOf(json: JsonValue | undefined, context: string): MetricQuery['order'] {
  if (json === undefined) return 'ascending';
  switch (stringOf(json).toLowerCase()) {
    case 'asc':
      return 'ascending';
    case 'desc':
      return 'descending';
    default:
      throw violation(context, 'order', "must be either 'asc' or 'desc'");
  }
}

/** There are no plugins here. */
function refusePlugins(json: JsonValue | undefined, context: string): void {
  if (json === undefined) return;
  if (json === null || !isArray(json)) throw new QueryFailed('This is not a JSON Array.');
  json.forEach((plugin, i) => {
    if (plugin === null || !isObject(plugin)) {
      throw new QueryFailed(`Not a JSON Object: ${jsonText(plugin)}`);
    }
    const name = plugin.get('name');
    if (name === undefined || stringOf(name) === '') {
      throw violation(context, `plugins[${i}]`, 'must have a name');
    }
    // At the top the context is empty, and KairosDB still puts its point.
    throw new QueryRefused(
      violationText(`${context}.plugins[${i}]`, stringOf(name), 'invalid query plugin name'),
    );
  });
}

const notAnObject = (json: JsonValue): QueryRefused =>
  new QueryRefused(`java.lang.IllegalStateException: Not a JSON Object: ${jsonText(json)}`);
