/** Writes points: check each → group by row → index rows first → cells, so that no point stands where none can find it. */
import type { Rejection } from '../../delivery/index.ts';
import { type DataPoint, PoisonError } from '../../model/index.ts';
import { type Clock, threadTurns } from '../../runtime/index.ts';
import { columnOf, encodeColumn, rowTimeOf } from './column.ts';
import { Unpacker } from './packed/unpack.ts';
import { reasonAgainstSeries, reasonAgainstValue } from './point-check.ts';
import { type TtlOptions, ttlOf } from './point-ttl.ts';
import type { RowIndex, RowNeed } from './row-index.ts';
import { encodeRowKeyParts } from './row-key.ts';
import type { RowSpec } from './row-spec.ts';
import { indexedTagsOf, type TagIndexConfig } from './tag-index.ts';
import { formatTags, type TagList, tagListOf } from './tag-string.ts';
import { encodeValue, typeOfValue } from './value.ts';
import type { Cell, WideRows } from './wide-rows.ts';

export interface WriteOptions extends TtlOptions {
  /** NaN and ±Infinity: KairosDB stores them, but then fails every query that meets them. Default `reject`. */
  readonly nonFinite?: 'reject' | 'store';
  /** Metrics whose tags are indexed (spec §8). Default none. */
  readonly tagIndex?: TagIndexConfig;
}

/** A row that this batch writes to. */
export interface RowGroup {
  readonly key: Buffer;
  need: RowNeed;
  /** Where in the batch's cells the one of a column stands. */
  readonly placeOf: Map<number, number>;
}

/** A cell, the point it is of, and its row. */
export interface PointCell extends Cell {
  readonly index: number;
  readonly identity: string;
}

export interface Prepared {
  readonly groups: RowGroup[];
  /** The same by the series' name, then by row time and type. */
  readonly groupsOf: Map<string, Map<string, RowGroup>>;
  readonly cells: PointCell[];
  readonly rejections: Rejection[];
}

/** Points prepared before the event loop gets its turn: some 1 ms. */
const PREPARE_POINTS = 250;
/** The same for packed ones. */
const UNPACK_POINTS = 2_000;

/** Metric and tags of points of one series, worked out once. */
interface Series {
  /** Equal for equal metric and tags, whatever objects they came in. */
  readonly name: string;
  readonly reason: string | undefined;
  readonly tags: TagList;
  readonly tagString: string;
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
    { groups, groupsOf, cells, rejections }: Prepared,
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
      const type = typeOfValue(value);
      let ofSeries = groupsOf.get(series.name);
      if (ofSeries === undefined) {
        ofSeries = new Map();
        groupsOf.set(series.name, ofSeries);
      }
      const place = `${rowTimeMs}\0${type}`;
      let group = ofSeries.get(place);
      if (group === undefined) {
        const { name, tags, tagString } = series;
        const indexedTags = indexedTagsOf(this.#options.tagIndex, metric, tags);
        const row = { metric, rowTimeMs, type, tags };
        const identity = `${place}\0${name}`;
        group = {
          key: encodeRowKeyParts(metric, rowTimeMs, type, tagString),
          need: { row, identity, indexedTags, ttlSeconds: ttl },
          placeOf: new Map(),
        };
        ofSeries.set(place, group);
        groups.push(group);
      } else if (group.need.ttlSeconds !== 0 && (ttl === 0 || ttl > group.need.ttlSeconds)) {
        group.need = { ...group.need, ttlSeconds: ttl };
      }
      const columnNumber = columnOf(spec, rowTimeMs, timestampMs);
      const cell = {
        index,
        identity: group.need.identity,
        key: group.key,
        column: encodeColumn(columnNumber),
        value: encodeValue(value),
        ttlSeconds: ttl,
      };
      // Of several points in one cell the last: a batch has one write time, so Cassandra could not tell them apart.
      const earlier = group.placeOf.get(columnNumber);
      if (earlier === undefined) {
        group.placeOf.set(columnNumber, cells.length);
        cells.push(cell);
      } else cells[earlier] = cell;
    }
  }
}

const newlyPrepared = (): Prepared => ({
  groups: [],
  groupsOf: new Map(),
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
      series = { name: `${metric}\0${tagString}`, reason, tags: list, tagString };
      byMetric.set(metric, series);
    }
    return series;
  }
}
