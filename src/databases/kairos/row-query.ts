/** Finds the rows that may hold points of a metric, a time range and tags (spec §10, steps 1–4). */
import type { DataPoint } from '../../model/index.ts';
import { rowTimeOf, TIMESTAMP_MS_MAX } from './column.ts';
import { readAhead } from './read-ahead.ts';
import {
  decodeRowKey,
  encodeRowKey,
  legacyIndexSlice,
  type RowKey,
  rowIdentity,
} from './row-key.ts';
import type { RowSpec } from './row-spec.ts';
import { isIndexed, type TagIndexConfig } from './tag-index.ts';
import type { Pages, RowKeyFilter, WideRows } from './wide-rows.ts';

/** A range has a row time each three weeks, whose keys are a question each; KairosDB asks them all at once. */
const ROW_TIMES_AT_ONCE = 8;
/** Row times further on go together in one question, while they have so few keys by those before them. */
const KEYS_TOGETHER = 500;
const ROW_TIMES_TOGETHER_MAX = 16;

/** A row is taken when it has the tag, and its value is in the set or matches. */
export interface TagFilter {
  readonly values?: ReadonlySet<string>;
  readonly matches?: (value: string) => boolean;
}

export interface RowQuery {
  readonly metric: string;
  /** Half-open; ±Infinity leave a side open. */
  readonly fromMs: number;
  readonly toMs: number;
  /** By tag name; all must hold. */
  readonly tags?: ReadonlyMap<string, TagFilter>;
}

export interface FoundRow {
  readonly row: RowKey;
  /** Its key in `data_points`. */
  readonly key: Buffer;
  /** Found in `row_key_index`, where KairosDB before 1.2 kept it. */
  readonly legacy: boolean;
}

/** First and last time of a half-open range, both included and representable; undefined when nothing is in it. */
export function timeBounds({
  fromMs,
  toMs,
}: Pick<RowQuery, 'fromMs' | 'toMs'>):
  | { readonly firstMs: number; readonly lastMs: number }
  | undefined {
  const firstMs = Math.max(Math.ceil(fromMs), -TIMESTAMP_MS_MAX);
  const lastMs = Math.min(Math.ceil(toMs) - 1, TIMESTAMP_MS_MAX);
  return firstMs <= lastMs ? { firstMs, lastMs } : undefined;
}

/** Each row once, by row time ascending but for legacy ones, which come first. */
export async function* findRows(
  rows: WideRows,
  spec: RowSpec,
  query: RowQuery,
  tagIndex?: TagIndexConfig,
): AsyncGenerator<readonly FoundRow[]> {
  const bounds = timeBounds(query);
  if (bounds === undefined) return;
  const { metric } = query;
  const firstRowMs = firstRowTime(spec, bounds.firstMs);
  const seen = new Set<string>();
  const take = (page: readonly RowKey[], legacy: boolean): FoundRow[] => {
    const found: FoundRow[] = [];
    for (const row of page) {
      if (!passes(row, query.tags)) continue;
      if (legacy) seen.add(rowIdentity(row));
      else if (seen.size > 0 && seen.has(rowIdentity(row))) continue;
      found.push({ row, key: row.key ?? encodeRowKey(row), legacy });
    }
    return found;
  };

  for (const { first, end } of legacySlices(metric, firstRowMs, bounds.lastMs)) {
    for await (const page of rows.legacyRowKeys(metric, first, end)) {
      const found = take(page.map(decodeRowKey), true);
      if (found.length > 0) yield found;
    }
  }
  const wanted = filterOf(query.tags);
  const pairs = indexedPairs(query, tagIndex);
  /** At most, so far. */
  let keysOfTime = 1;
  for await (const times of rows.rowTimes(metric, firstRowMs, bounds.lastMs)) {
    const sources =
      pairs === undefined
        ? rowKeysOf(rows, { metric, times, wanted }, () =>
            Math.max(keysOfTime, wanted?.mostOfOneTime ?? 0),
          )
        : times.flatMap((rowTimeMs) =>
            pairs.map((pair) => rows.rowKeysWithTag(metric, rowTimeMs, pair, wanted)),
          );
    // What is at hand has nobody to wait for.
    const atOnce = rows.cellPagesAtHand === undefined ? ROW_TIMES_AT_ONCE : 1;
    for await (const page of readAhead(sources, atOnce)) {
      keysOfTime = Math.max(keysOfTime, mostOfOneTime(page));
      const found = take(page, false);
      if (found.length > 0) yield found;
    }
  }
}

/** The keys of row times: each of the first by itself, then those of several together, while a time has few. */
function* rowKeysOf(
  rows: WideRows,
  {
    metric,
    times,
    wanted,
  }: {
    readonly metric: string;
    readonly times: readonly number[];
    readonly wanted: RowKeyFilter | undefined;
  },
  keysOfTime: () => number,
): Generator<Pages<RowKey>> {
  for (let at = 0; at < times.length; ) {
    const together =
      at < ROW_TIMES_AT_ONCE
        ? 1
        : Math.min(ROW_TIMES_TOGETHER_MAX, Math.floor(KEYS_TOGETHER / keysOfTime()));
    if (together <= 1 || rows.rowKeysOfTimes === undefined) {
      yield rows.rowKeys(metric, times[at] as number, wanted);
      at++;
    } else {
      yield rows.rowKeysOfTimes(metric, times.slice(at, at + together), wanted);
      at += together;
    }
  }
}

/** Of keys in the order of their row times. */
function mostOfOneTime(keys: readonly RowKey[]): number {
  let [most, from] = [0, 0];
  for (const [i, { rowTimeMs }] of keys.entries()) {
    if (rowTimeMs !== keys[from]?.rowTimeMs) from = i;
    most = Math.max(most, i - from + 1);
  }
  return most;
}

/** Below zero a later time may lie in an earlier row (spec §3), by less than a row's width. */
function firstRowTime(spec: RowSpec, firstMs: number): number {
  return firstMs >= 0 ? rowTimeOf(spec, firstMs) : firstMs - spec.rowModulusMs;
}

/** Row times order as unsigned numbers in the legacy index, so a range across zero is two. */
function legacySlices(metric: string, firstRowMs: number, lastMs: number) {
  return firstRowMs < 0 && lastMs >= 0
    ? [legacyIndexSlice(metric, firstRowMs, -1), legacyIndexSlice(metric, 0, lastMs)]
    : [legacyIndexSlice(metric, firstRowMs, lastMs)];
}

/** Whether a delete by this query takes a point with it. */
export function takesPoint(
  query: RowQuery,
  { metric, tags, timestampMs }: Pick<DataPoint, 'metric' | 'tags' | 'timestampMs'>,
): boolean {
  const bounds = timeBounds(query);
  return (
    metric === query.metric &&
    bounds !== undefined &&
    timestampMs >= bounds.firstMs &&
    timestampMs <= bounds.lastMs &&
    passes({ tags: Object.entries(tags) }, query.tags)
  );
}

function passes(row: Pick<RowKey, 'tags'>, filters: RowQuery['tags']): boolean {
  if (filters === undefined) return true;
  for (const [name, filter] of filters) {
    const tag = row.tags.find(([each]) => each === name);
    if (tag === undefined || !takes(filter, tag[1])) return false;
  }
  return true;
}

const takes = ({ values, matches }: TagFilter, value: string): boolean =>
  values?.has(value) === true || matches?.(value) === true;

/** What `passes` looks at, for a store that may leave rows out. */
function filterOf(filters: RowQuery['tags']): RowKeyFilter | undefined {
  if (filters === undefined || filters.size === 0) return undefined;
  const tests = [...filters].map(
    ([name, filter]) => [name, (value: string) => takes(filter, value)] as const,
  );
  return { tests: new Map(tests), mostOfOneTime: 0 };
}

/** The pairs of the one filter that narrows the tag index most; undefined when the index can't serve. */
function indexedPairs(
  { metric, tags }: RowQuery,
  tagIndex: TagIndexConfig | undefined,
): (readonly [string, string])[] | undefined {
  let best: { readonly name: string; readonly values: ReadonlySet<string> } | undefined;
  for (const [name, { values, matches }] of tags ?? []) {
    if (matches !== undefined || values === undefined) continue;
    if (!isIndexed(tagIndex, metric, name)) continue;
    if (best === undefined || values.size < best.values.size) best = { name, values };
  }
  if (best === undefined) return undefined;
  const { name, values } = best;
  return [...values].map((value) => [name, value] as const);
}
