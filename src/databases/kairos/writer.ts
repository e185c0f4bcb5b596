/** Writes points: check each → group by row → index rows first → cells, so that no point stands where none can find it. */
import type { Rejection } from '../../delivery/index.ts';
import { type DataPoint, PoisonError } from '../../model/index.ts';
import { type Clock, threadTurns } from '../../runtime/index.ts';
import { columnOf, encodeColumn, rowTimeOf } from './column.ts';
import { Unpacker } from './packed/unpack.ts';
import { reasonAgainstSeries, reasonAgainstValue } from './point-check.ts';
import { type TtlOptions, ttlOf } from './point-ttl.ts';
import { type PointCell, RowGroup } from './row-group.ts';
import { type RowIndex, timeIdentity } from './row-index.ts';
import { encodeRowKeyParts, type RowKey } from './row-key.ts';
import type { RowSpec } from './row-spec.ts';
import { indexedTagsOf, type TagIndexConfig } from './tag-index.ts';
import { formatTags, type TagList, tagListOf } from './tag-string.ts';
import { encodeValue, typeOfValue } from './value.ts';
import type { WideRows } from './wide-rows.ts';

export interface WriteOptions extends TtlOptions {
  /** NaN and ±Infinity: KairosDB stores them, but then fails every query that meets them. Default `reject`. */
  readonly nonFinite?: 'reject' | 'store';
  /** Metrics whose tags are indexed (spec §8). Default none. */
  readonly tagIndex?: TagIndexConfig;
}

export interface Prepared {
  readonly groups: RowGroup[];
  /** The same by the row's identity. */
  readonly groupOf: Map<string, RowGroup>;
  readonly cells: PointCell[];
  readonly rejections: Rejection[];
}

/** Points prepared before the event loop gets its turn: some 1 ms. */
const PREPARE_POINTS = 250;
/** The same for packed ones. */
const UNPACK_POINTS = 2_000;

/** Metric and tags of points of one series, worked out once. */
interface Series {
  readonly metric: string;
  /** Equal for equal metric and tags, whatever objects they came in. */
  readonly name: string;
  readonly reason: string | undefined;
  readonly tags: TagList;
  readonly tagString: string;
  /** That of its last point: the next one is most likely of it too. */
  row: SeriesRow | undefined;
}

/** A row of a series, worked out once for many batches. */
interface SeriesRow {
  readonly row: RowKey;
  readonly identity: string;
  readonly time: string;
  readonly indexedTags: TagList;
  readonly key: Buffer;
}

export class PointWriter {
  readonly #rows: WideRows;
  readonly #index: RowIndex;
  readonly #clock: Clock;
  readonly #options: WriteOptions;
  readonly #seriesOf = new SeriesCache();

  constructor(rows: WideRows, index: RowIndex, clock: Clock, options: WriteOptions) {
    this.#rows = rows;
    this.#index = index;
    this.#clock = clock;
    this.#options = options;
  }

  /** As `Sink.write`: every point is stored but for the rejections. */
  async write(
    points: readonly DataPoint[],
    spec: RowSpec,
    signal?: AbortSignal,
  ): Promise<readonly Rejection[]> {
    const prepared = newlyPrepared();
    for (let from = 0; from < points.length; from += PREPARE_POINTS) {
      if (from > 0) await threadTurns.next();
      signal?.throwIfAborted();
      this.#prepare(points, from, spec, prepared);
    }
    if (points.length >= PREPARE_POINTS) await threadTurns.next();
    return this.#store(prepared, spec, signal);
  }

  /** The same for records of packed points; a rejection's index is its record's. */
  async writePacked(
    records: readonly Buffer[],
    spec: RowSpec,
    signal?: AbortSignal,
  ): Promise<readonly Rejection[]> {
    const damaged = new Map<number, Rejection>();
    for (;;) {
      const prepared = newlyPrepared();
      const worst = await this.#unpack(records, damaged, spec, prepared, signal);
      if (worst === undefined) {
        prepared.rejections.push(...damaged.values());
        return this.#store(prepared, spec, signal);
      }
      // All of a record or nothing, as its dead letter holds all of it: once more without it.
      damaged.set(worst.index, worst);
    }
  }

  /** Gives the first record that is damaged, and then has left something of it behind. */
  async #unpack(
    records: readonly Buffer[],
    damaged: ReadonlyMap<number, Rejection>,
    spec: RowSpec,
    prepared: Prepared,
    signal: AbortSignal | undefined,
  ): Promise<Rejection | undefined> {
    const unpacker = new Unpacker(spec, this.#options.tagIndex, prepared);
    let cells = 0;
    for (const [index, record] of records.entries()) {
      if (damaged.has(index)) continue;
      try {
        unpacker.add(record, index);
      } catch (error) {
        if (!(error instanceof PoisonError)) throw error;
        return { index, message: error.message };
      }
      if (prepared.cells.length - cells < UNPACK_POINTS) continue;
      cells = prepared.cells.length;
      await threadTurns.next();
      signal?.throwIfAborted();
    }
    return undefined;
  }

  async #store(
    { groups, cells, rejections }: Prepared,
    spec: RowSpec,
    signal: AbortSignal | undefined,
  ): Promise<readonly Rejection[]> {
    const needs = groups.map(({ need }) => need);
    const refused = await this.#index.ensure(needs, spec, signal);
    let stored = cells;
    if (refused.size > 0) {
      stored = cells.filter((cell) => !refused.has(cell.identity));
      for (const { identity, index } of cells) {
        const message = refused.get(identity);
        if (message !== undefined) rejections.push({ index, message });
      }
    }
    for (const { index, message } of await this.#rows.writeCells(stored, signal)) {
      rejections.push({ index: (stored[index] as PointCell).index, message });
    }
    return rejections.sort((a, b) => a.index - b.index);
  }

  /** Adds the points from `from` on, at most PREPARE_POINTS of them, to what is prepared. */
  #prepare(
    points: readonly DataPoint[],
    from: number,
    spec: RowSpec,
    { groups, groupOf, cells, rejections }: Prepared,
  ): void {
    const nowMs = this.#clock.now();
    const nonFinite = this.#options.nonFinite ?? 'reject';
    const end = Math.min(points.length, from + PREPARE_POINTS);
    for (let index = from; index < end; index++) {
      const point = points[index] as DataPoint;
      const { metric, timestampMs, value } = point;
      const series = this.#seriesOf.get(metric, point.tags);
      const ttl = ttlOf(point, this.#options, nowMs);
      const reason =
        series.reason ??
        reasonAgainstValue(point, nonFinite) ??
        (typeof ttl === 'string' ? ttl : undefined);
      if (reason !== undefined || typeof ttl === 'string') {
        rejections.push({ index, message: `${metric.slice(0, 200)}: ${reason}` });
        continue;
      }
      const rowTimeMs = rowTimeOf(spec, timestampMs);
      const { row, identity, time, indexedTags, key } = this.#rowOf(
        series,
        rowTimeMs,
        typeOfValue(value),
      );
      let group = groupOf.get(identity);
      if (group === undefined) {
        group = new RowGroup(key, { row, identity, time, indexedTags, ttlSeconds: ttl });
        groupOf.set(identity, group);
        groups.push(group);
      } else group.live(ttl);
      const column = columnOf(spec, rowTimeMs, timestampMs);
      const cell = {
        index,
        identity,
        key: group.key,
        column: encodeColumn(column),
        value: bytesOf(value),
        ttlSeconds: ttl,
      };
      group.put(column, cell, cells);
    }
  }

  #rowOf(series: Series, rowTimeMs: number, type: string): SeriesRow {
    const last = series.row;
    if (last !== undefined && last.row.rowTimeMs === rowTimeMs && last.row.type === type)
      return last;
    const { metric, name, tags, tagString } = series;
    const row = { metric, rowTimeMs, type, tags };
    series.row = {
      row,
      identity: `${rowTimeMs}\0${type}\0${name}`,
      time: timeIdentity(row),
      indexedTags: indexedTagsOf(this.#options.tagIndex, metric, tags),
      key: encodeRowKeyParts(metric, rowTimeMs, type, tagString),
    };
    return series.row;
  }
}

/** Whole numbers below this are encoded once, and their bytes shared: nobody writes to a cell's value. */
const SMALL_LONGS = 256;
const smallLongs: readonly Buffer[] = Array.from({ length: SMALL_LONGS }, (_, i) =>
  encodeValue(BigInt(i)),
);

function bytesOf(value: DataPoint['value']): Buffer {
  if (typeof value !== 'bigint') return encodeValue(value);
  const small = Number(value);
  return small >= 0 && small < SMALL_LONGS ? (smallLongs[small] as Buffer) : encodeValue(value);
}

const newlyPrepared = (): Prepared => ({
  groups: [],
  groupOf: new Map(),
  cells: [],
  rejections: [],
});

/** Points of one series often share one tags object, which nobody changes; then sorting and escaping is done once. */
class SeriesCache {
  readonly #byTags = new WeakMap<object, Map<string, Series>>();

  get(metric: string, tags: Readonly<Record<string, string>>): Series {
    let byMetric = this.#byTags.get(tags);
    if (byMetric === undefined) {
      byMetric = new Map();
      this.#byTags.set(tags, byMetric);
    }
    let series = byMetric.get(metric);
    if (series === undefined) {
      const reason = reasonAgainstSeries(metric, tags);
      const list = reason === undefined ? tagListOf(tags) : [];
      const tagString = formatTags(list);
      const name = `${metric}\0${tagString}`;
      series = { metric, name, reason, tags: list, tagString, row: undefined };
      byMetric.set(metric, series);
    }
    return series;
  }
}
