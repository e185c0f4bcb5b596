/** The lists `group_by` and `aggregators` of a metric. */
import { type Aggregator, aggregators, type QueryFrame } from '../aggregators/index.ts';
import { QueryFailed, QueryRefused } from '../errors.ts';
import {
  type GroupBy,
  pointGroupBys,
  type TagGroupBy,
  tag,
  tagViolations,
} from '../group-by/index.ts';
import {
  isArray,
  isObject,
  type JsonObject,
  type JsonValue,
  jsonText,
  stringOf,
} from '../json/json-value.ts';
import { violation, violationText } from './faults.ts';
import { readProperties } from './property.ts';

export interface GroupBys {
  readonly tagGroupBy: TagGroupBy | undefined;
  readonly groupBys: readonly GroupBy[];
  /** Tags of all tag group-bys, also of those without effect. */
  readonly allTags: readonly string[];
}

export function parseGroupBys(
  json: JsonValue | undefined,
  context: string,
  startMs: number,
): GroupBys {
  let tagGroupBy: TagGroupBy | undefined;
  const groupBys: GroupBy[] = [];
  const allTags: string[] = [];
  for (const { name, object, at } of processorsOf(json, 'group_by', context)) {
    if (name === tag.name) {
      const { tags } = readProperties(tag, object, at);
      refuse(tagViolations(tags), at);
      tagGroupBy ??= { tags: tags ?? [] };
      allTags.push(...(tags ?? []).filter((each) => typeof each === 'string'));
      continue;
    }
    const kind = pointGroupBys.get(name);
    if (kind === undefined) throw violation(at, name, 'invalid group_by name');
    const given = readProperties(kind, object, at);
    refuse(kind.violations?.(given) ?? [], at);
    groupBys.push(kind.make(given, startMs));
  }
  return { tagGroupBy, groupBys, allTags };
}

export function parseAggregators(
  json: JsonValue | undefined,
  context: string,
  query: QueryFrame,
): Aggregator[] {
  const found: Aggregator[] = [];
  for (const { name, object, at } of processorsOf(json, 'aggregators', context)) {
    const kind = aggregators.get(name);
    if (kind === undefined) throw violation(at, name, 'invalid aggregators name');
    const given = readProperties(kind, object, at);
    refuse(kind.violations?.(given) ?? [], at);
    found.push(kind.make(given, query));
  }
  return found;
}

function* processorsOf(json: JsonValue | undefined, list: string, context: string) {
  if (json === undefined) return;
  if (json === null || !isArray(json)) throw new QueryFailed('This is not a JSON Array.');
  for (const [i, object] of json.entries()) {
    if (object === null || !isObject(object)) {
      throw new QueryFailed(`Not a JSON Object: ${jsonText(object)}`);
    }
    const name = nameOf(object, `${list}[${i}]`, context);
    yield { name, object, at: `${context}.${list}[${i}]` };
  }
}

function nameOf(object: JsonObject, place: string, context: string): string {
  const name = object.get('name');
  const text = name === undefined ? '' : stringOf(name);
  if (text === '') throw violation(context, place, 'must have a name');
  return text;
}

function refuse(
  violations: readonly (readonly [path: string, message: string])[],
  context: string,
): void {
  if (violations.length === 0) return;
  throw new QueryRefused(
    violations.map(([path, message]) => violationText(context, path, message)),
  );
}
