/** Writes points: check each → cells by row → index rows first → cells, so that no point stands where none can find it. */
import type { Rejection } from '../../delivery/index.ts';
import { type DataPoint, PoisonError } from '../../model/index.ts';
import { type Clock, threadTurns } from '../../runtime/index.ts';
import { CellBatch } from './cell-batch.ts';
import { columnOf, rowTimeOf } from './column.ts';
import { unpackInto } from './packed/unpack.ts';
import { reasonAgainstValue } from './point-check.ts';
import { type TtlOptions, ttlOf } from './point-ttl.ts';
import { PreparedCells } from './prepared-cells.ts';
import type { RowIndex } from './row-index.ts';
import type { RowSpec } from './row-spec.ts';
import { SeriesCache } from './series.ts';
import type { TagIndexConfig } from './tag-index.ts';
import { LONG_TYPE, typeOfValue } from './value.ts';
import type { WideRows } from './wide-rows.ts';

export interface WriteOptions extends TtlOptions {
  /** NaN and ±Infinity: KairosDB stores them, but then fails every query that meets them. Default `reject`. */
  readonly nonFinite?: 'reject' | 'store';
  /** Metrics whose tags are indexed (spec §8). Default none. */
  readonly tagIndex?: TagIndexConfig;
  /** Of series, their keys and what is known of their index rows; see series.ts. Default 16 MiB. */
  readonly seriesBytesMax?: number;
}

export interface PackedWriteOptions {
  readonly signal?: AbortSignal | undefined;
  /** A write that must have ended well first: meanwhile this one is prepared, and stores nothing. */
  readonly behind?: Promise<unknown> | undefined;
}

/** Points prepared between two looks at the watch: one whose series is new costs ten times as much as another. */
const PREPARE_POINTS = 50;
/** Storing so many is a piece of its own. */
const STORE_ALONE_POINTS = 500;
/** Batches kept for the next write, and the most bytes of values that one may have then. */
const SPARE_BATCHES = 4;
const SPARE_BYTES = 1_024 ** 2;
/** The most room that one may have for a write that comes when no other is under way. */
const RESTING_BYTES = 64 * 1_024;

export class PointWriter {
  readonly #rows: WideRows;
  readonly #index: RowIndex;
  readonly #clock: Clock;
  readonly #options: WriteOptions;
  readonly #series: SeriesCache;
  #spares: CellBatch[] = [];
  #underWay = 0;
  #preparing: Promise<unknown> = Promise.resolve();

  constructor(rows: WideRows, index: RowIndex, clock: Clock, options: WriteOptions) {
    this.#rows = rows;
    this.#index = index;
    this.#clock = clock;
    this.#options = options;
    this.#series = new SeriesCache(options.tagIndex, options.seriesBytesMax);
  }

  /** As `Sink.write`: every point is stored but for the rejections. */
  async write(
    points: readonly DataPoint[],
    spec: RowSpec,
    signal?: AbortSignal,
  ): Promise<readonly Rejection[]> {
    return this.#counted(async () => {
      const prepared = await this.#inTurn(async () => {
        const cells = this.#empty();
        const piece = threadTurns.piece();
        for (let from = 0; from < points.length; from += PREPARE_POINTS) {
          if (piece.isOver) await piece.next();
          signal?.throwIfAborted();
          this.#prepare(points, from, spec, cells);
        }
        if (points.length >= STORE_ALONE_POINTS) await piece.next();
        return cells;
      });
      return this.#store(prepared, spec, signal);
    });
  }

  /** The same for records of packed points; a rejection's index is its record's. */
  async writePacked(
    records: readonly Buffer[],
    spec: RowSpec,
    options: PackedWriteOptions = {},
  ): Promise<readonly Rejection[]> {
    return this.#counted(() => this.#writeUndamaged(records, spec, options));
  }

  async #writeUndamaged(
    records: readonly Buffer[],
    spec: RowSpec,
    { signal, behind }: PackedWriteOptions,
  ): Promise<readonly Rejection[]> {
    const damaged = new Map<number, Rejection>();
    for (;;) {
      const prepared = this.#empty();
      const worst = await this.#inTurn(() =>
        this.#unpack(records, damaged, spec, prepared, signal),
      );
      if (worst === undefined) {
        prepared.rejections.push(...damaged.values());
        await behind;
        return this.#store(prepared, spec, signal);
      }
      // All of a record or nothing, as its dead letter holds all of it: once more without it.
      damaged.set(worst.index, worst);
    }
  }

  /** One batch at a time: the place of a row in it stands with the row, and no row may be forgotten meanwhile. */
  #inTurn<T>(prepare: () => Promise<T>): Promise<T> {
    const turn = this.#preparing.then(() => {
      this.#series.keepWithinBound();
      return prepare();
    });
    this.#preparing = turn.catch(() => {});
    return turn;
  }

  /** Gives the first record that is damaged, and then has left something of it behind. */
  async #unpack(
    records: readonly Buffer[],
    damaged: ReadonlyMap<number, Rejection>,
    spec: RowSpec,
    prepared: PreparedCells,
    signal: AbortSignal | undefined,
  ): Promise<Rejection | undefined> {
    const piece = threadTurns.piece();
    for (const [index, record] of records.entries()) {
      if (damaged.has(index)) continue;
      if (piece.isOver) {
        await piece.next();
        signal?.throwIfAborted();
      }
      try {
        unpackInto(prepared, { record, index, spec, series: this.#series });
      } catch (error) {
        if (!(error instanceof PoisonError)) throw error;
        return { index, message: error.message };
      }
    }
    if (prepared.batch.count >= STORE_ALONE_POINTS) await piece.next();
    return undefined;
  }

  async #store(
    prepared: PreparedCells,
    spec: RowSpec,
    signal: AbortSignal | undefined,
  ): Promise<readonly Rejection[]> {
    const { rejections } = prepared;
    const refused = await this.#index.ensure(prepared.rows, prepared.lives, spec, signal);
    const { batch, origins } = refused.size > 0 ? prepared.without(refused) : prepared;
    if (batch.count > 0) {
      for (const { index, message } of await this.#rows.writeCells(batch, signal)) {
        rejections.push({ index: origins[index] as number, message });
      }
    }
    // Only now that it is stored: of a write that failed a store may still read.
    this.#spare(prepared.batch);
    return rejections.length < 2 ? rejections : rejections.sort((a, b) => a.index - b.index);
  }

  /** Batches of a backlog go from write to write, whatever room they have; what comes to rest gives it back. */
  async #counted<T>(write: () => Promise<T>): Promise<T> {
    this.#underWay++;
    try {
      return await write();
    } finally {
      this.#underWay--;
      if (this.#underWay === 0)
        this.#spares = this.#spares.filter(({ roomBytes }) => roomBytes <= RESTING_BYTES);
    }
  }

  #empty(): PreparedCells {
    return new PreparedCells(this.#spares.pop() ?? new CellBatch());
  }

  #spare(batch: CellBatch): void {
    if (this.#spares.length >= SPARE_BATCHES || batch.bytes.length > SPARE_BYTES) return;
    batch.clear();
    this.#spares.push(batch);
  }

  /** Adds the points from `from` on, at most PREPARE_POINTS of them, to what is prepared. */
  #prepare(
    points: readonly DataPoint[],
    from: number,
    spec: RowSpec,
    prepared: PreparedCells,
  ): void {
    const nowMs = this.#clock.now();
    const nonFinite = this.#options.nonFinite ?? 'reject';
    const end = Math.min(points.length, from + PREPARE_POINTS);
    for (let index = from; index < end; index++) {
      const point = points[index] as DataPoint;
      const { metric, timestampMs, value } = point;
      const wrong = reasonAgainstValue(point, nonFinite);
      const type = wrong === undefined ? typeOfValue(value) : LONG_TYPE;
      const series = this.#series.of(metric, point.tags, type);
      const ttl = ttlOf(point, this.#options, nowMs);
      if (typeof series === 'string' || wrong !== undefined || typeof ttl === 'string') {
        const reason = typeof series === 'string' ? series : (wrong ?? ttl);
        prepared.rejections.push({ index, message: `${metric.slice(0, 200)}: ${reason}` });
        continue;
      }
      const rowTimeMs = rowTimeOf(spec, timestampMs);
      const place = prepared.place(this.#series.rowOf(series, rowTimeMs), ttl);
      prepared.batch.addValue(place, columnOf(spec, rowTimeMs, timestampMs), ttl, value);
      prepared.origins.push(index);
    }
  }
}
