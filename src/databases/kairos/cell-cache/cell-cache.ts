/**
 * Cells that were read stay in memory, so that a question whose time moves on reads what it has not seen. Off unless a
 * bound in bytes is given: what another process writes into a time that is kept shows only when the cells kept are as
 * old as they may be, and so does the end of a cell's life. What this process writes or deletes shows at once.
 *
 *   columns of a row   ├── kept ──┤ read, then kept ├── kept ──┤ read, then kept ┊ read: not settled yet ┤
 *
 * A write may overtake a read of the same columns. So each read of the store is listed while it is under way, and what
 * ends meanwhile makes it keep nothing more; what it had kept is dropped like all else.
 */

import type { Clock } from '../../../runtime/index.ts';
import type { CellBatch } from '../cell-batch.ts';
import { COLUMN_MAX } from '../column.ts';
import { CELL_HEAD_BYTES } from '../packed-cells.ts';
import type { RowTimeUnit } from '../row-spec.ts';
import { cellCacheHolds, cellsDropped, cellsFromCache, cellsPastCache } from '../telemetry.ts';
import type { CellPage, CellRange } from '../wide-rows.ts';
import { countBelow, type KeptCells, type KeptRun, partOf } from './kept-cells.ts';
import { RawPacker } from './raw-run.ts';
import { type Row, type Stretch, startOf } from './stretch.ts';
import { Stretches } from './stretches.ts';

export interface CellCacheConfig {
  /** Of all cells kept and what stands around them. 0 = nothing is kept. */
  readonly bytesMax: number;
  /** Cells are read again when they were read so long ago. */
  readonly maxAgeMs: number;
  /** Cells younger than this are never kept: others may still write beside them. */
  readonly settledMs: number;
}

/** A stretch is not made longer than this; what is dropped for one cell's sake is read again with it. */
const STRETCH_CELLS = 1_024;
const STRETCH_BYTES = 16 * 1_024;
const PAGE_CELLS = 5_000;
/** A gap where no more cells are expected is short, and so many must stand before it to expect any. */
const SHORT_CELLS = 100;
const SAMPLE_CELLS = 8;
/** Time settles in steps, so that a stretch does not grow with each reading. */
const SETTLED_STEP_MS = 60_000;

/** `isShort`: only few cells are expected. */
type Read = (range: CellRange, isShort: boolean) => AsyncIterable<CellPage>;

/** A read of the store under way, and the columns of which it may keep cells. */
interface Reading {
  readonly from: number;
  readonly to: number;
  readonly atMs: number;
  isOvertaken: boolean;
}

export class CellCache {
  readonly #config: CellCacheConfig;
  readonly #clock: Clock;
  readonly #unitOf: () => Promise<RowTimeUnit>;
  readonly #stretchCells: number;
  readonly #stretches: Stretches;
  readonly #readings = new Map<string, Set<Reading>>();
  #unit: RowTimeUnit | undefined;

  /** `unit`: of the keyspace's columns; asked once, with the first read. */
  constructor(
    config: CellCacheConfig,
    clock: Clock,
    unit: () => Promise<RowTimeUnit>,
    stretchCells = STRETCH_CELLS,
  ) {
    this.#stretchCells = stretchCells;
    this.#config = config;
    this.#clock = clock;
    this.#unitOf = unit;
    this.#stretches = new Stretches(config.bytesMax, () => cellsDropped('evicted'));
  }

  /** The same cells as `read` gives, which is asked for those that are not kept. Descending ones are never kept. */
  async *read(range: CellRange, read: Read): AsyncGenerator<CellPage | KeptCells> {
    this.#unit ??= await this.#unitOf();
    const settled = settledColumn(range.key, this.#unit, this.#settledMs());
    if (range.order === 'descending' || settled < 0) {
      yield* read(range, false);
      return;
    }
    const key = range.key.toString('latin1');
    const last = range.last?.readUInt32BE(0) ?? COLUMN_MAX;
    let at = range.first?.readUInt32BE(0) ?? 0;
    let left = range.limit ?? Number.POSITIVE_INFINITY;
    const pageCells = Math.min(range.pageCells ?? PAGE_CELLS, left);
    if (pageCells < 1) return;
    const page = new KeptPage(pageCells);
    while (at <= last && left > 0) {
      const stretch = this.#keptAt(key, at);
      if (stretch !== undefined) {
        for (const whole of stretch.runs) {
          let run = at <= stretch.from ? whole : behind(whole, at);
          let taken = Math.min(left, last >= stretch.to ? run.count : countBelow(run, last + 1));
          left -= taken;
          cellsFromCache(taken);
          while (taken > 0) {
            if (page.isFullFor(taken)) yield page.take();
            const part = Math.min(taken, page.room);
            page.add(partOf(run, 0, part));
            taken -= part;
            if (taken > 0) run = partOf(run, part, run.count - part);
          }
        }
        at = stretch.to + 1;
        continue;
      }
      const to = Math.min(last, this.#nextKept(key, at) - 1);
      for await (const sent of this.#readAndKeep(
        { ...range, limit: left },
        at,
        to,
        settled,
        read,
      )) {
        left -= sent.count;
        // Few cells behind many go with them: a reader of many rows pays for each page.
        if (page.count > 0 && sent.count <= page.room) page.add(runOf(sent));
        else {
          if (page.count > 0) yield page.take();
          yield sent;
        }
      }
      at = to + 1;
    }
    if (page.count > 0) yield page.take();
  }

  /** Cells of a row may have changed from one column to another, both included. */
  forget(key: Buffer, first?: Buffer, last?: Buffer): void {
    const name = key.toString('latin1');
    const [from, to] = [first?.readUInt32BE(0) ?? 0, last?.readUInt32BE(0) ?? COLUMN_MAX];
    overtake(this.#readings.get(name) ?? [], from, to);
    const row = this.#stretches.rowOf(name);
    if (row !== undefined) this.#drop(row, from, to);
    cellCacheHolds(this.#stretches.bytes);
  }

  forgetCells({ rows, rowAt, columns, count }: CellBatch): void {
    if (this.#stretches.bytes === 0 && this.#readings.size === 0) return;
    const affected = rows.map(({ key }) => {
      const name = key.toString('latin1');
      return { readings: this.#readings.get(name), row: this.#stretches.rowOf(name) };
    });
    for (let i = 0; i < count; i++) {
      const { readings, row } = affected[rowAt[i] as number] as (typeof affected)[number];
      const column = columns[i] as number;
      if (readings !== undefined) overtake(readings, column, column);
      if (row !== undefined) this.#drop(row, column, column);
    }
    cellCacheHolds(this.#stretches.bytes);
  }

  clear(): void {
    for (const readings of this.#readings.values()) overtake(readings, 0, COLUMN_MAX);
    this.#stretches.clear();
    cellCacheHolds(0);
  }

  #settledMs(): number {
    const ms = this.#clock.now() - this.#config.settledMs;
    return ms - (ms % SETTLED_STEP_MS);
  }

  /** The stretch that knows a column, unless it is too old. */
  #keptAt(key: string, column: number): Stretch | undefined {
    const row = this.#stretches.rowOf(key);
    if (row === undefined) return undefined;
    const stretch = row.stretches[Stretches.indexOf(row, column)];
    if (stretch === undefined || stretch.from > column || !this.#isYoung(stretch)) return undefined;
    this.#stretches.touch(stretch);
    return stretch;
  }

  /** The first column behind `column` that a stretch knows; behind the last column when there is none. */
  #nextKept(key: string, column: number): number {
    const row = this.#stretches.rowOf(key);
    if (row === undefined) return COLUMN_MAX + 1;
    for (let i = Stretches.indexOf(row, column); i < row.stretches.length; i++) {
      const stretch = row.stretches[i] as Stretch;
      if (stretch.from > column && this.#isYoung(stretch)) return stretch.from;
    }
    return COLUMN_MAX + 1;
  }

  #isYoung({ readAtMs }: Stretch): boolean {
    const ageMs = this.#clock.now() - readAtMs;
    return ageMs >= 0 && ageMs < this.#config.maxAgeMs;
  }

  async *#readAndKeep(
    range: CellRange,
    from: number,
    to: number,
    settled: number,
    read: Read,
  ): AsyncGenerator<CellPage> {
    const key = range.key.toString('latin1');
    const reading: Reading = {
      from,
      to: Math.min(to, settled),
      atMs: this.#clock.now(),
      isOvertaken: false,
    };
    const readings = this.#readings.get(key) ?? new Set();
    this.#readings.set(key, readings.add(reading));
    let [known, left] = [from, range.limit ?? Number.POSITIVE_INFINITY];
    try {
      const limit = left === Number.POSITIVE_INFINITY ? undefined : left;
      const bounds = { first: columnBytes(from), last: columnBytes(to), limit };
      const isShort = limit === undefined && this.#isShort(key, from, to);
      for await (const page of read({ ...range, ...bounds }, isShort)) {
        cellsPastCache(page.count);
        if (known <= reading.to && !reading.isOvertaken) {
          const end = lastColumn(page);
          this.#keep(key, reading, known, Math.min(end, reading.to), page);
          known = end + 1;
        }
        left -= page.count;
        yield page;
      }
      // A read that was limited says nothing of what is behind its last cell.
      if (left > 0) this.#keep(key, reading, known, reading.to, NO_CELLS);
    } finally {
      readings.delete(reading);
      if (readings.size === 0) this.#readings.delete(key);
    }
  }

  /** A page has all cells from one column to another: those that are not kept yet are now. */
  #keep(key: string, reading: Reading, from: number, to: number, page: CellPage): void {
    const cells = new SentCursor(page);
    let at = from;
    while (at <= to && !reading.isOvertaken) {
      const row = this.#stretches.rowOf(key);
      const next = row?.stretches[Stretches.indexOf(row, at)];
      if (next !== undefined && next.from <= to && !this.#isYoung(next)) {
        this.#stretches.remove(next);
      } else if (next !== undefined && next.from <= at) {
        at = next.to + 1;
      } else {
        const end = Math.min(to, next === undefined ? to : next.from - 1);
        this.#fill(key, at, end, cells, reading.atMs);
        at = end + 1;
      }
    }
    cellCacheHolds(this.#stretches.bytes);
  }

  /** Where no stretch is: the one before grows, or new ones are made. */
  #fill(key: string, from: number, to: number, cells: SentCursor, atMs: number): void {
    let at = from;
    cells.skipTo(from);
    while (at <= to) {
      const before = at === 0 ? undefined : this.#stretchEndingAt(key, at - 1);
      const isShort =
        before !== undefined &&
        before.count < this.#stretchCells &&
        before.used < STRETCH_BYTES &&
        this.#isYoung(before);
      const packer = new RawPacker(isShort ? before.end : startOf(at));
      const [count, used] = isShort ? [before.count, before.used] : [0, 0];
      let end = at - 1;
      while (cells.column <= to) {
        if (count + packer.count >= this.#stretchCells || used + packer.bytes >= STRETCH_BYTES)
          break;
        end = cells.column;
        cells.addTo(packer);
      }
      if (cells.column > to) end = to;
      if (isShort) this.#stretches.extend(before, end, atMs, packer);
      else this.#stretches.add(key, at, end, atMs, packer);
      at = end + 1;
    }
  }

  /** Whether few cells lie between two columns, if they go on as in the stretch before. */
  #isShort(key: string, from: number, to: number): boolean {
    const before = from === 0 ? undefined : this.#stretchEndingAt(key, from - 1);
    if (before === undefined || before.count < SAMPLE_CELLS) return false;
    const cellsPerColumn = before.count / (before.to - before.from + 1);
    return (to - from + 1) * cellsPerColumn <= SHORT_CELLS;
  }

  #stretchEndingAt(key: string, column: number): Stretch | undefined {
    const row = this.#stretches.rowOf(key);
    const stretch = row?.stretches[Stretches.indexOf(row, column)];
    return stretch?.to === column ? stretch : undefined;
  }

  #drop(row: Row, from: number, to: number): void {
    const first = Stretches.indexOf(row, from);
    for (;;) {
      const stretch = row.stretches[first];
      if (stretch === undefined || stretch.from > to) break;
      this.#stretches.remove(stretch);
      cellsDropped('changed');
    }
  }
}

/** Runs of cells until they are as many cells as a page may have. */
class KeptPage {
  readonly #cellsMax: number;
  #runs: KeptRun[] = [];
  count = 0;

  constructor(cellsMax: number) {
    this.#cellsMax = cellsMax;
  }

  get room(): number {
    return this.#cellsMax - this.count;
  }

  /** A run is cut only when it is longer than a page. */
  isFullFor(cells: number): boolean {
    return this.count > 0 && cells > this.room;
  }

  add(run: KeptRun): void {
    this.#runs.push(run);
    this.count += run.count;
  }

  take(): KeptCells {
    const page = { runs: this.#runs, count: this.count };
    this.#runs = [];
    this.count = 0;
    return page;
  }
}

/** Cells that were sent, in the form of those that are kept. */
function runOf(page: CellPage): KeptRun {
  const cells = new SentCursor(page);
  const start = startOf(cells.column);
  const packer = new RawPacker(start);
  while (cells.column <= COLUMN_MAX) cells.addTo(packer);
  const bytes = Buffer.allocUnsafe(packer.bytes);
  packer.copyInto(bytes, 0);
  return { bytes, at: 0, count: page.count, ...start };
}

/** Walks through the cells of a page in their order. */
class SentCursor {
  readonly #bytes: Buffer;
  #left: number;
  #at = 0;
  /** Of the cell it stands at; behind all columns at the end. */
  column = Number.POSITIVE_INFINITY;

  constructor({ bytes, count }: CellPage) {
    this.#bytes = bytes;
    this.#left = count;
    this.#look();
  }

  skipTo(column: number): void {
    while (this.column < column) this.#step();
  }

  addTo(packer: RawPacker): void {
    const from = this.#at + CELL_HEAD_BYTES;
    packer.add(this.column, this.#bytes, from, from + this.#length);
    this.#step();
  }

  get #length(): number {
    return Math.max(0, this.#bytes.readInt32BE(this.#at + 8));
  }

  #step(): void {
    this.#at += CELL_HEAD_BYTES + this.#length;
    this.#left--;
    this.#look();
  }

  #look(): void {
    this.column =
      this.#left > 0 ? this.#bytes.readUInt32BE(this.#at + 4) : Number.POSITIVE_INFINITY;
  }
}

const NO_CELLS: CellPage = { bytes: Buffer.alloc(0), count: 0 };

function lastColumn({ bytes, count }: CellPage): number {
  let [at, column] = [0, 0];
  for (let i = 0; i < count; i++) {
    column = bytes.readUInt32BE(at + 4);
    at += CELL_HEAD_BYTES + Math.max(0, bytes.readInt32BE(at + 8));
  }
  return column;
}

/** The cells of a run from a column on. */
function behind(run: KeptRun, first: number): KeptRun {
  const skip = countBelow(run, first);
  return partOf(run, skip, run.count - skip);
}

function overtake(readings: Iterable<Reading>, from: number, to: number): void {
  for (const reading of readings) {
    if (reading.from <= to && reading.to >= from) reading.isOvertaken = true;
  }
}

function columnBytes(column: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(column, 0);
  return bytes;
}

/**
 * The last column of a row whose time is over, up to a time; -1 when there is none, or the key is none of KairosDB's.
 * Columns of times before their row, the upper half but in LEGACY, are never kept.
 */
function settledColumn(key: Buffer, unit: RowTimeUnit, untilMs: number): number {
  const metricEnd = key.indexOf(0);
  if (metricEnd < 0 || key.length < metricEnd + 9) return -1;
  const offsetMs = untilMs - Number(key.readBigInt64BE(metricEnd + 1));
  if (offsetMs <= 0) return -1;
  switch (unit) {
    case 'LEGACY':
      return Math.min(offsetMs * 2 - 1, COLUMN_MAX);
    case 'MILLISECONDS':
      return Math.min(offsetMs - 1, 0x7fff_ffff);
    case 'SECONDS':
      return Math.min(Math.floor(offsetMs / 1_000) - 1, 0x7fff_ffff);
  }
}
