/**
 * KairosDB's series on any WideRows: written, found, read in order and deleted. One store per process and keyspace:
 * its memory of what is indexed is what makes deletes and writes agree.
 */
import type { Rejection } from '../../delivery/index.ts';
import { type DataPoint, FatalError, RetriableError } from '../../model/index.ts';
import { type Clock, systemClock } from '../../runtime/index.ts';
import { type Deletion, deleteMetric, deletePoints } from './deletion.ts';
import { Gate } from './gate.ts';
import { ReadCluster, type ReadClusterOptions } from './read-clusters.ts';
import { RowIndex, type RowIndexOptions } from './row-index.ts';
import { type FoundRow, findRows, type RowQuery } from './row-query.ts';
import { type PointPage, type RowReadOptions, readRow, readRowAtHand } from './row-reader.ts';
import type { RowSpec, RowTimeUnit } from './row-spec.ts';
import { readSeries, type SeriesQuery } from './series-reader.ts';
import { ensureSpec, storedSpec } from './spec-rows.ts';
import { indexTags } from './tag-index-rows.ts';
import { pointsRejected, pointsWritten } from './telemetry.ts';
import type { Pages, WideRows } from './wide-rows.ts';
import { type PackedWriteOptions, PointWriter, type WriteOptions } from './writer.ts';

export interface KairosStoreOptions extends WriteOptions, RowIndexOptions {
  readonly rows: WideRows;
  readonly clock?: Clock;
  /** For a new keyspace only; a stored spec wins. Default MILLISECONDS, as KairosDB 1.3. */
  readonly rowTimeUnit?: Exclude<RowTimeUnit, 'LEGACY'>;
  /** Refuses writes and makes none of its own: a keyspace without spec then counts as MILLISECONDS. Default false. */
  readonly readOnly?: boolean;
  /** Read beside `rows`, never written or deleted from. */
  readonly readClusters?: readonly ReadClusterOptions[];
}

export class KairosStore {
  /** The tables beneath, for what needs no codec: metric names, service index. */
  readonly rows: WideRows;
  readonly #options: KairosStoreOptions;
  readonly #index: RowIndex;
  readonly #writer: PointWriter;
  readonly #gate = new Gate();
  readonly #old: readonly ReadCluster[];
  #spec: RowSpec | undefined;

  constructor(options: KairosStoreOptions) {
    const clock = options.clock ?? systemClock;
    this.rows = options.rows;
    this.#options = options;
    this.#index = new RowIndex(options.rows, clock, options);
    this.#old = (options.readClusters ?? []).map((each) => new ReadCluster(each));
    this.#writer = new PointWriter(options.rows, this.#index, clock, options);
  }

  /** Safe to call again. Rejects as WideRows.connect, and with FatalError KAIROS_SPEC_INVALID. */
  async connect(signal?: AbortSignal): Promise<void> {
    await this.rows.connect(signal);
    this.#spec ??= await this.#loadSpec();
  }

  check(signal?: AbortSignal): Promise<void> {
    return this.rows.check(signal);
  }

  async close(): Promise<void> {
    await Promise.all(
      [this.rows, ...this.#old.map(({ rows }) => rows)].map((each) => each.close()),
    );
  }

  /** How this keyspace encodes times; its span is that of the widest row among the clusters that were asked. */
  get spec(): RowSpec {
    const spans = this.#old.map((cluster) => cluster.rowSpanMs ?? 0);
    const own = this.#own;
    return { ...own, rowSpanMs: Math.max(own.rowSpanMs, ...spans) };
  }

  get #own(): RowSpec {
    if (this.#spec === undefined) {
      throw new RetriableError('the KairosDB store is not connected', { code: 'SINK_UNREACHABLE' });
    }
    return this.#spec;
  }

  /** As `Sink.write`: durable when it resolves, but for the rejections. */
  async write(points: readonly DataPoint[], signal?: AbortSignal): Promise<readonly Rejection[]> {
    this.#assertWritable();
    const spec = this.#own;
    const rejections = await this.#gate.write(() => this.#writer.write(points, spec, signal));
    const labels = { store: this.rows.kind };
    pointsWritten(labels, points.length - rejections.length);
    pointsRejected(labels, rejections.length);
    return rejections;
  }

  /** The same for records of packed points; a rejection's index is its record's. `points`: how many they hold. */
  async writePacked(
    records: readonly Buffer[],
    points: number,
    options?: PackedWriteOptions,
  ): Promise<readonly Rejection[]> {
    this.#assertWritable();
    const spec = this.#own;
    const rejections = await this.#gate.write(() =>
      this.#writer.writePacked(records, spec, options),
    );
    const labels = { store: this.rows.kind };
    pointsWritten(labels, points - rejections.length);
    pointsRejected(labels, rejections.length);
    return rejections;
  }

  /** The rows that may hold matching points, each once; exact to the row, not to the time. */
  findRows(query: RowQuery): Pages<FoundRow> {
    const own = findRows(this.rows, this.#own, query, this.#options.tagIndex);
    const asked = this.#old.filter((cluster) => cluster.isAsked(query));
    return asked.length === 0
      ? own
      : oneAfterAnother([...asked.map((each) => each.findRows(query)), own]);
  }

  /** The points of one row in a time range, in order, as KairosDB 1.3 bounds them. */
  readRow(found: FoundRow, options: RowReadOptions): AsyncGenerator<PointPage> {
    const old = this.#old.find((cluster) => cluster.has(found));
    return old?.readRow(found, options) ?? readRow(this.rows, this.#own, found, options);
  }

  /** The same without waiting; undefined when the row is somewhere else. */
  readRowAtHand(found: FoundRow, options: RowReadOptions): Generator<PointPage> | undefined {
    if (this.#old.some((cluster) => cluster.has(found))) return undefined;
    return readRowAtHand(this.rows, this.#own, found, options);
  }

  /** Each once, in UTF-8 order unless there are clusters that are only read. */
  metricNames(prefix?: string): Pages<string> {
    if (this.#old.length === 0) return this.rows.metricNames(prefix);
    return distinct(
      oneAfterAnother([this.rows, ...this.#old].map((each) => each.metricNames(prefix))),
    );
  }

  /** All matching points in time order. */
  readSeries(query: SeriesQuery): Pages<DataPoint> {
    return readSeries(this.rows, this.#own, query, this.#options.tagIndex);
  }

  /** Whole rows disappear from the index too; the metric's name stays. May be run again after a failure. */
  async deletePoints(query: RowQuery): Promise<void> {
    return deletePoints(this.#deletion(), query);
  }

  /** All points, rows and the name. */
  async deleteMetric(metric: string): Promise<void> {
    return deleteMetric(this.#deletion(), metric);
  }

  /** Writes the tag index of a metric's rows that are there already: those from before it was switched on. */
  async indexTags(query: Pick<RowQuery, 'metric' | 'fromMs' | 'toMs'>): Promise<void> {
    this.#assertWritable();
    const spec = this.#own;
    await this.#gate.write(() => indexTags(this.rows, spec, this.#options.tagIndex, query));
  }

  #deletion(): Deletion {
    this.#assertWritable();
    return {
      rows: this.rows,
      spec: this.#own,
      tagIndex: this.#options.tagIndex,
      exclusively: (part) =>
        this.#gate.delete(async () => {
          try {
            await part();
          } finally {
            this.#index.forget();
          }
        }),
    };
  }

  #loadSpec(): Promise<RowSpec> {
    return this.#options.readOnly === true
      ? storedSpec(this.rows)
      : ensureSpec(this.rows, this.#options.rowTimeUnit);
  }

  #assertWritable(): void {
    if (this.#options.readOnly !== true) return;
    throw new FatalError('this KairosDB store was opened for reading only', { code: 'READ_ONLY' });
  }
}

async function* oneAfterAnother<T>(sources: readonly Pages<T>[]): AsyncGenerator<readonly T[]> {
  for (const source of sources) yield* source;
}

async function* distinct(pages: Pages<string>): AsyncGenerator<readonly string[]> {
  const seen = new Set<string>();
  for await (const page of pages) {
    const fresh = page.filter((name) => !seen.has(name));
    for (const name of fresh) seen.add(name);
    if (fresh.length > 0) yield fresh;
  }
}
