/**
 * Answers a query: rows → groups by type and tags → merge → groups by point → limit → aggregators → JSON (spec §4.3).
 * Points pass one by one; what stays in memory is the answer, and what an aggregator must keep of a bucket.
 */
import type { DataPoint } from '../model/index.ts';
import { type GroupFrame, passes } from './aggregators/index.ts';
import { ColumnPool } from './column-pool.ts';
import { QueryFailed, QueryRefused } from './errors.ts';
import { type TagGroup, tagGroupOf } from './group-by/index.ts';
import { quote } from './json/json-text.ts';
import { NumberMerge } from './number-merge.ts';
import type { MetricQuery, Query } from './parse/query.ts';
import type { GroupType, NumberColumns, PointSink, QueryValue } from './point.ts';
import { AnswerBudget, ResultText } from './result-text.ts';
import { RowMerge } from './row-merge.ts';
import type { SeriesStore, StoredRow } from './store.ts';
import { rowQueryOf } from './tag-filters.ts';
import { Turns } from './turns.ts';

/** A quarter of what V8 can hold in one heap by default. */
const ANSWER_CHARS_MAX = 256 * 1_024 * 1_024;

/** Rows of the groups that follow whose first pages are asked for ahead: no further group is when there are as many. */
const ROWS_AHEAD = 64;

export interface QueryOutcome {
  /** The answer's JSON, to be joined. */
  readonly parts: readonly string[];
  /** What save_as wants to have stored. */
  readonly saved: readonly DataPoint[];
}

/** Throws QueryFailed, or what the store throws. */
export async function runQuery(store: SeriesStore, query: Query): Promise<QueryOutcome> {
  const saved: DataPoint[] = [];
  const budget = new AnswerBudget(ANSWER_CHARS_MAX);
  const parts: string[] = ['{"queries":['];
  for (const [i, metric] of query.metrics.entries()) {
    if (i > 0) parts.push(',');
    for (const part of await new MetricRun(store, metric, budget, saved).run()) parts.push(part);
  }
  parts.push(']}');
  return { parts, saved };
}

type Tags = Map<string, Set<string>>;

class MetricRun {
  readonly #store: SeriesStore;
  readonly #query: MetricQuery;
  readonly #budget: AnswerBudget;
  readonly #saved: DataPoint[];
  readonly #turns = new Turns();
  readonly #room = new NumberMerge();
  readonly #columns = new ColumnPool();
  #sampleSize = 0;

  constructor(store: SeriesStore, query: MetricQuery, budget: AnswerBudget, saved: DataPoint[]) {
    if (query.limit < 0) throw new QueryRefused('limit must be greater than or equal to 0');
    this.#store = store;
    this.#query = query;
    this.#budget = budget;
    this.#saved = saved;
  }

  async run(): Promise<string[]> {
    const results: Result[] = [];
    const merges = (await this.#findGroups()).map((group) => ({
      group,
      merge: this.#merge(group),
    }));
    let [opened, rowsAhead] = [0, 0];
    try {
      for (const [i, { group, merge }] of merges.entries()) {
        // The store works for the groups that follow while this one is merged.
        while (opened < merges.length && (opened <= i || rowsAhead < ROWS_AHEAD)) {
          rowsAhead += merges[opened++]?.merge.prefetch() ?? 0;
        }
        rowsAhead -= merge.rowsAhead;
        for (const result of await this.#runGroup(group, merge)) results.push(result);
      }
    } finally {
      for (const { merge } of merges) await merge.close();
    }
    if (results.length === 0 && this.#query.groupBys.length === 0) {
      const result = this.#open([], 'number', new Map());
      result.end();
      results.push(result);
    }
    const parts = [`{"sample_size":${this.#sampleSize},"results":[`];
    results.forEach((result, i) => {
      if (i > 0) parts.push(',');
      for (const part of result.json(this.#query)) parts.push(part);
    });
    parts.push(']}');
    return parts;
  }

  /** By type, then by the tag group-by, each ascending. Some may turn out to have no points. */
  async #findGroups(): Promise<RowGroup[]> {
    const groups = new Map<string, RowGroup>();
    const { tagGroupBy } = this.#query;
    for await (const page of this.#store.findRows(rowQueryOf(this.#query))) {
      for (const row of page) {
        const type = row.row.type === 'kairos_string' ? 'text' : 'number';
        const tagGroup = tagGroupBy && tagGroupOf(tagGroupBy, row.row.tags);
        const key = `${type}${tagGroup?.key ?? ''}`;
        const group = groups.get(key);
        if (group === undefined) groups.set(key, { type, tagGroup, rows: [row] });
        else group.rows.push(row);
      }
    }
    return [...groups].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)).map(([, group]) => group);
  }

  #merge({ rows }: RowGroup): RowMerge {
    const { startMs, endMs, order, limit } = this.#query;
    return new RowMerge(this.#store, rows, {
      fromMs: startMs,
      toMs: endMs + 1,
      order,
      limit: limit === 0 ? undefined : limit,
      turns: this.#turns,
      room: this.#room,
      columns: this.#columns,
    });
  }

  async #runGroup({ type, tagGroup }: RowGroup, merge: RowMerge): Promise<readonly Result[]> {
    const { groupBys, aggregators } = this.#query;
    const tags: Tags = new Map();
    const entries = [...(tagGroup === undefined ? [] : [tagGroup.entry]), typeEntry(type)];
    const results = new Map<string, Result>();
    const mustWait = groupBys.length > 0 && aggregators.some((each) => each.inOrder === true);
    let single: Result | undefined;
    const resultOf = (timestampMs: number, value: QueryValue): Result => {
      if (groupBys.length === 0) {
        if (single === undefined) {
          single = this.#open(entries, type, tags);
          results.set('', single);
        }
        return single;
      }
      const numbers = groupBys.map((groupBy) => groupBy.numberOf(timestampMs, value));
      const key = numbers.join();
      let result = results.get(key);
      if (result === undefined) {
        const own = groupBys.map((groupBy, i) => groupBy.entry(numbers[i] as number));
        result = this.#open([...own, ...entries], type, tags, mustWait);
        results.set(key, result);
      }
      return result;
    };
    const takesNumbers = groupBys.length === 0 && this.#takesNumbers(type);
    await merge.run({
      row: ({ row }) => addTags(tags, row.tags),
      numbers: takesNumbers
        ? (columns) => {
            this.#sampleSize += columns.count;
            (single ?? resultOf(columns.times[0] as number, 0)).pushNumbers(columns);
          }
        : undefined,
      point: (timestampMs, value) => {
        this.#sampleSize++;
        (single ?? resultOf(timestampMs, value)).push(timestampMs, value);
      },
    });
    for (const result of results.values()) result.end();
    return [...results.values()];
  }

  #open(entries: readonly string[], type: GroupType, tags: Tags, mustWait = false): Result {
    const text = new ResultText(this.#budget);
    const frame: GroupFrame = {
      metric: this.#query.name,
      tags,
      save: (points) => {
        for (const point of points) this.#saved.push(point);
      },
    };
    const chain = () => this.#chain(text, type, frame);
    const { limit } = this.#query;
    return new Result({ entries, tags, text, limit, chain, mustWait });
  }

  /** Whether a group of this type may pass as columns of doubles: its first aggregator asks for no more. */
  #takesNumbers(type: GroupType): boolean {
    const { aggregators, limit } = this.#query;
    const first = aggregators.find((aggregator) => passes(aggregator, type));
    return limit === 0 && first?.takesNumbers === true;
  }

  /** Aggregators that take the group's type, from the last to the first. */
  #chain(out: PointSink, type: GroupType, frame: GroupFrame): PointSink {
    let current = type;
    const applied = this.#query.aggregators.filter((aggregator) => {
      if (!passes(aggregator, current)) return false;
      if (aggregator.gives === 'number') current = 'number';
      return true;
    });
    return applied.reduceRight((sink, aggregator) => aggregator.open(sink, frame), out);
  }
}

interface RowGroup {
  readonly type: GroupType;
  readonly tagGroup: TagGroup | undefined;
  readonly rows: StoredRow[];
}

interface ResultParts {
  readonly entries: readonly string[];
  readonly tags: Tags;
  readonly text: ResultText;
  readonly limit: number;
  readonly chain: () => PointSink;
  /** Points are kept until `end`, because results share something and have to be made one after the other. */
  readonly mustWait: boolean;
}

/** One member of `results`. A failure shows at `end`, so that of several the first in the answer counts. */
class Result {
  readonly #parts: ResultParts;
  readonly #kept: [number, QueryValue][] = [];
  #sink: PointSink | undefined;
  #failure: QueryFailed | undefined;
  #left: number;

  constructor(parts: ResultParts) {
    this.#parts = parts;
    this.#left = parts.limit === 0 ? Number.POSITIVE_INFINITY : parts.limit;
  }

  push(timestampMs: number, value: QueryValue): void {
    if (this.#left-- <= 0 || this.#failure !== undefined) return;
    if (this.#parts.mustWait) this.#kept.push([timestampMs, value]);
    else this.#give(timestampMs, value);
  }

  /** Only without limit, of a chain that takes numbers, and with nothing to wait for. */
  pushNumbers(columns: NumberColumns): void {
    if (this.#failure !== undefined) return;
    try {
      this.#sink ??= this.#parts.chain();
      this.#sink.pushNumbers?.(columns);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Throws QueryFailed. */
  end(): void {
    for (const [timestampMs, value] of this.#kept) {
      if (this.#failure === undefined) this.#give(timestampMs, value);
    }
    if (this.#failure === undefined) {
      try {
        this.#sink ??= this.#parts.chain();
        this.#sink.end();
      } catch (error) {
        this.#fail(error);
      }
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  json({ name, excludeTags }: MetricQuery): string[] {
    const { entries, tags, text } = this.#parts;
    const groupBy = entries.length === 0 ? '' : `"group_by":[${entries.join(',')}],`;
    const tagText = excludeTags ? '' : `"tags":${tagsJson(tags)},`;
    return [`{"name":${quote(name)},${groupBy}${tagText}"values":[`, ...text.parts, ']}'];
  }

  #give(timestampMs: number, value: QueryValue): void {
    try {
      this.#sink ??= this.#parts.chain();
      this.#sink.push(timestampMs, value);
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    if (!(error instanceof QueryFailed)) throw error;
    this.#failure = error;
  }
}

const typeEntry = (type: GroupType): string => `{"name":"type","type":"${type}"}`;

function addTags(tags: Tags, row: StoredRow['row']['tags']): void {
  for (const [name, value] of row) {
    const values = tags.get(name);
    if (values === undefined) tags.set(name, new Set([value]));
    else values.add(value);
  }
}

function tagsJson(tags: Tags): string {
  const members = [...tags].sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members
    .map(([name, values]) => `${quote(name)}:[${[...values].sort().map(quote).join(',')}]`)
    .join(',')}}`;
}

/** The tags of all series that a query names, exact to the row of three weeks (spec §4.9). */
export async function runTagsQuery(store: SeriesStore, query: Query): Promise<string> {
  const answers: string[] = [];
  for (const metric of query.metrics) {
    const tags: Tags = new Map();
    for await (const page of store.findRows(rowQueryOf(metric))) {
      for (const { row } of page) addTags(tags, row.tags);
    }
    answers.push(
      `{"results":[{"name":${quote(metric.name)},"tags":${tagsJson(tags)},"values":[]}]}`,
    );
  }
  return `{"queries":[${answers.join(',')}]}`;
}
