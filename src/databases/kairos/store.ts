/**
 * KairosDB's series on any WideRows: written, found, read in order and deleted. One store per process and keyspace:
 * its memory of what is indexed is what makes deletes and writes agree.
 */
import type { Rejection } from '../../delivery/index.ts';
import { type DataPoint, FatalError, RetriableError } from '../../model/index.ts';
import { type Clock, systemClock } from '../../runtime/index.ts';
import { type Deletion, deleteMetric, deletePoints } from './deletion.ts';
import { Gate } from './gate.ts';
import { RowIndex, type RowIndexOptions } from './row-index.ts';
import { type FoundRow, findRows, type RowQuery } from './row-query.ts';
import { type PointPage, type RowReadOptions, readRow } from './row-reader.ts';
import type { RowSpec, RowTimeUnit } from './row-spec.ts';
import { readSeries, type SeriesQuery } from './series-reader.ts';
import { ensureSpec, storedSpec } from './spec-rows.ts';
import { pointsRejected, pointsWritten } from './telemetry.ts';
import type { Pages, WideRows } from './wide-rows.ts';
import { PointWriter, type WriteOptions } from './writer.ts';

export interface KairosStoreOptions extends WriteOptions, RowIndexOptions {
  readonly rows: WideRows;
  readonly clock?: Clock;
  /** For a new keyspace only; a stored spec wins. Default MILLISECONDS, as KairosDB 1.3. */
  readonly rowTimeUnit?: Exclude<RowTimeUnit, 'LEGACY'>;
  /** Refuses writes and makes none of its own: a keyspace without spec then counts as MILLISECONDS. Default false. */
  readonly readOnly?: boolean;
}

export class KairosStore {
  /** The tables beneath, for what needs no codec: metric names, service index. */
  readonly rows: WideRows;
  readonly #options: KairosStoreOptions;
  readonly #index: RowIndex;
  readonly #writer: PointWriter;
  readonly #gate = new Gate();
  #spec: RowSpec | undefined;

  constructor(options: KairosStoreOptions) {
    const clock = options.clock ?? systemClock;
    this.rows = options.rows;
    this.#options = options;
    this.#index = new RowIndex(options.rows, clock, options);
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

  close(): Promise<void> {
    return this.rows.close();
  }

  /** How this keyspace encodes times. */
  get spec(): RowSpec {
    if (this.#spec === undefined) {
      throw new RetriableError('the KairosDB store is not connected', { code: 'SINK_UNREACHABLE' });
    }
    return this.#spec;
  }

  /** As `Sink.write`: durable when it resolves, but for the rejections. */
  async write(points: readonly DataPoint[], signal?: AbortSignal): Promise<readonly Rejection[]> {
    this.#assertWritable();
    const { spec } = this;
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
    signal?: AbortSignal,
  ): Promise<readonly Rejection[]> {
    this.#assertWritable();
    const { spec } = this;
    const rejections = await this.#gate.write(() =>
      this.#writer.writePacked(records, spec, signal),
    );
    const labels = { store: this.rows.kind };
    pointsWritten(labels, points - rejections.length);
    pointsRejected(labels, rejections.length);
    return rejections;
  }

  /** The rows that may hold matching points, each once; exact to the row, not to the time. */
  findRows(query: RowQuery): Pages<FoundRow> {
    return findRows(this.rows, this.spec, query, this.#options.tagIndex);
  }

  /** The points of one row in a time range, in order, as KairosDB 1.3 bounds them. */
  readRow(found: FoundRow, options: RowReadOptions): AsyncGenerator<PointPage> {
    return readRow(this.rows, this.spec, found, options);
  }

  /** All matching points in time order. */
  readSeries(query: SeriesQuery): Pages<DataPoint> {
    return readSeries(this.rows, this.spec, query, this.#options.tagIndex);
  }

  /** Whole rows disappear from the index too; the metric's name stays. May be run again after a failure. */
  async deletePoints(query: RowQuery): Promise<void> {
    return deletePoints(this.#deletion(), query);
  }

  /** All points, rows and the name. */
  async deleteMetric(metric: string): Promise<void> {
    return deleteMetric(this.#deletion(), metric);
  }

  #deletion(): Deletion {
    this.#assertWritable();
    return {
      rows: this.rows,
      spec: this.spec,
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
