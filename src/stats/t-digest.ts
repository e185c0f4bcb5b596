/**
 * A merging t-digest (Dunning & Ertl, "Computing extremely accurate quantiles using t-digests", 2019): the
 * distribution of many numbers in a few hundred cells, mergeable, most accurate at the tails. Up to 2·compression
 * distinct values it is lossless. Before changing it: the same adds in the same order must give the same bytes,
 * however often it was read, serialised or restored in between.
 */
import { FatalError } from '../model/index.ts';
import { BytesReader, BytesWriter } from './bytes.ts';
import {
  blendCells,
  type Cells,
  cellsOfValues,
  hasBlend,
  mergeCells,
  ScratchCells,
  tiedWeight,
} from './cells.ts';
import { quantileOfCells, rankOfCells } from './quantile.ts';

/** Cells a new digest has room for: 64 bytes, the most that V8 keeps inside the object. */
const FIRST_CELLS = 4;
const VERSION = 1;
const COMPRESSION_DEFAULT = 100;
const COMPRESSION_MIN = 10;
const COMPRESSION_MAX = 10_000;
/** Whole numbers up to here are written as varints. */
const INTEGER_MAX = 2 ** 50;
const NO_VALUES = new Float64Array(0);

/** Bits of a cell's kind, in its bytes. */
const BLEND = 1;
const FLOAT = 2;
/** Bits of the flags. */
const TIED = 1;
const FLOATS_PENDING = 2;

/** Where reads and merges work, so that they neither change a digest nor allocate; used up within one call. */
const WAITING = new ScratchCells();
const MINE = new ScratchCells();
const THEIRS = new ScratchCells();
const MERGED = new ScratchCells();
/** How often each whole number was found, while digests are merged; zeros otherwise. */
const COUNTED_BELOW = 1_024;
const COUNTS = new Float64Array(COUNTED_BELOW);

/**
 * State: `cells` holds pairs (mean, weight), ascending by mean. A positive weight says that all of the cell's
 * values equal its mean; a negative one that it is a blend. The first and last cells are never blends. Once the
 * cells are full, new values wait in `pending`; when that is full both are compacted.
 */
export class TDigest {
  readonly compression: number;
  #count = 0;
  /** Numbers in use in `cells`: twice the cells. */
  #length = 0;
  /** Where in `cells` the value of the last add is; only a shortcut to what a search would find. */
  #hit = 0;
  #cells = new Float64Array(2 * FIRST_CELLS);
  #pending: Float64Array = NO_VALUES;
  #pendingCount = 0;
  #blended = false;
  /** Whether, at the last compaction, repeated values were at least half of all: then they are worth a search. */
  #tied = false;

  /** `compression`: about half the cells kept, and the distinct values up to which nothing is lost. */
  constructor(compression = COMPRESSION_DEFAULT) {
    if (
      !Number.isInteger(compression) ||
      compression < COMPRESSION_MIN ||
      compression > COMPRESSION_MAX
    ) {
      throw new FatalError(
        `compression of a digest is ${compression}; give a whole number from ${COMPRESSION_MIN} to ${COMPRESSION_MAX} (usual: 100)`,
        { code: 'DIGEST_COMPRESSION_INVALID' },
      );
    }
    this.compression = compression;
  }

  /** Values added, weights counted. */
  get count(): number {
    return this.#count;
  }

  /** NaN when empty. */
  get min(): number {
    if (this.#count === 0) return Number.NaN;
    let min = this.#cells[0] as number;
    for (let i = 0; i < this.#pendingCount; i++) {
      if ((this.#pending[i] as number) < min) min = this.#pending[i] as number;
    }
    return min;
  }

  /** NaN when empty. */
  get max(): number {
    if (this.#count === 0) return Number.NaN;
    let max = this.#cells[this.#length - 2] as number;
    for (let i = 0; i < this.#pendingCount; i++) {
      if ((this.#pending[i] as number) > max) max = this.#pending[i] as number;
    }
    return max;
  }

  /**
   * Adds a finite number, `weight` (a positive whole number) times. Throws DIGEST_VALUE_INVALID for others:
   * absent values (NaN) are the caller's to leave out.
   */
  add(x: number, weight = 1): void {
    const cells = this.#cells;
    const hit = this.#hit;
    if (cells[hit] === x && weight === 1 && (cells[hit + 1] as number) > 0) {
      cells[hit + 1] = (cells[hit + 1] as number) + 1;
      this.#count++;
    } else {
      this.#addElsewhere(x, weight);
    }
  }

  /** Adds all of `other`, which stays as it is. */
  merge(other: TDigest): void {
    if (other.#count === 0) return;
    if (this.#holdsAll(other)) {
      this.#mergeInPlace(other);
      return;
    }
    mergeCells(this.#view(MINE), other.#view(THEIRS), MERGED);
    this.#count += other.#count;
    this.#take(MERGED);
  }

  /**
   * All of them in one, as if added one after the other; what is whole and small is counted by value, so that thousands
   * of digests of latencies take a fraction of the time of as many merges.
   */
  static merged(digests: Iterable<TDigest>): TDigest {
    const merged = new TDigest();
    let countsEnd = 0;
    for (const digest of digests) {
      if (digest.#blended) {
        merged.merge(digest);
        continue;
      }
      const cells = digest.#cells;
      for (let i = 0; i < digest.#length; i += 2) {
        const value = cells[i] as number;
        const weight = cells[i + 1] as number;
        if (value >= 0 && value < COUNTED_BELOW && Math.floor(value) === value) {
          COUNTS[value] = (COUNTS[value] as number) + weight;
          if (value >= countsEnd) countsEnd = value + 1;
        } else merged.add(value, weight);
      }
      for (let i = 0; i < digest.#pendingCount; i++) merged.add(digest.#pending[i] as number);
    }
    for (let value = 0; value < countsEnd; value++) {
      const weight = COUNTS[value] as number;
      if (weight > 0) merged.add(value, weight);
      COUNTS[value] = 0;
    }
    return merged;
  }

  /**
   * The value below which a share `q` (0 … 1) of the values lies, interpolated between the middles of ranks
   * (see quantile.ts). Exact while nothing was blended. NaN when empty.
   */
  quantile(q: number): number {
    return quantileOfCells(this.#view(MINE), this.#count, q);
  }

  /** Several quantiles for little more than the price of one. */
  quantiles(qs: readonly number[]): number[] {
    const view = this.#view(MINE);
    return qs.map((q) => quantileOfCells(view, this.#count, q));
  }

  /** As `quantiles`, into the places of `columns` at `at`: makes no garbage. */
  quantilesInto(qs: readonly number[], columns: readonly Float64Array[], at: number): void {
    const view = this.#view(MINE);
    for (let i = 0; i < qs.length; i++)
      (columns[i] as Float64Array)[at] = quantileOfCells(view, this.#count, qs[i] as number);
  }

  /** The share of values below `x`, those equal to it counted half. NaN when empty. */
  cdf(x: number): number {
    return rankOfCells(this.#view(MINE), x) / this.#count;
  }

  clear(): void {
    this.#count = 0;
    this.#length = 0;
    this.#hit = 0;
    this.#cells = new Float64Array(2 * FIRST_CELLS);
    this.#pending = NO_VALUES;
    this.#pendingCount = 0;
    this.#blended = false;
    this.#tied = false;
  }

  clone(): TDigest {
    const copy = new TDigest(this.compression);
    copy.#count = this.#count;
    copy.#length = this.#length;
    copy.#hit = this.#hit;
    copy.#cells = this.#cells.slice();
    copy.#pending = this.#pending.slice();
    copy.#pendingCount = this.#pendingCount;
    copy.#blended = this.#blended;
    copy.#tied = this.#tied;
    return copy;
  }

  /**
   * Layout, version 1. Varints are LEB128; a number is a zigzag varint (whole, up to 2^50) or an f64.
   *
   *   version     u8 = 1
   *   flags       u8: 1 repeated values are at least half · 2 pending values are f64, else zigzag varints
   *   compression varint
   *   cells       varint, then each: weight·4 + kind as varint · mean
   *               kind: 1 blend, else one value · 2 mean is f64, else its distance from the whole mean before
   *   pending     varint, then each in order of arrival
   *
   * The values 1 1 1 2 71:
   *   01 00 64 03 0c02 0402 048a01 00
   */
  toBytes(): Buffer {
    const floats = !this.#pendingIsWhole();
    const writer = new BytesWriter(32 + 9 * this.#length + 9 * this.#pendingCount);
    writer.u8(VERSION);
    writer.u8((this.#tied ? TIED : 0) | (floats ? FLOATS_PENDING : 0));
    writer.varint(this.compression);
    writer.varint(this.#length / 2);
    let whole = 0;
    for (let i = 0; i < this.#length; i += 2) {
      const mean = this.#cells[i] as number;
      const weight = this.#cells[i + 1] as number;
      const blend = weight < 0 ? BLEND : 0;
      if (isWhole(mean)) {
        writer.varintAndBits(Math.abs(weight), blend);
        writer.zigzag(mean - whole);
        whole = mean;
      } else {
        writer.varintAndBits(Math.abs(weight), blend | FLOAT);
        writer.f64(mean);
      }
    }
    writer.varint(this.#pendingCount);
    for (let i = 0; i < this.#pendingCount; i++) {
      if (floats) writer.f64(this.#pending[i] as number);
      else writer.zigzag(this.#pending[i] as number);
    }
    return writer.bytes();
  }

  /** Undoes `toBytes`. Throws DIGEST_CORRUPT when the bytes can't have come from there. */
  static fromBytes(bytes: Uint8Array): TDigest {
    const reader = new BytesReader(bytes, 'digest');
    reader.expect(reader.u8() === VERSION, `its version is not ${VERSION}`);
    const flags = reader.u8();
    reader.expect(flags <= (TIED | FLOATS_PENDING), 'it has unknown flags');
    const compression = reader.varint();
    reader.expect(
      compression >= COMPRESSION_MIN && compression <= COMPRESSION_MAX,
      'its compression is wild',
    );
    const digest = new TDigest(compression);
    digest.#readCells(reader);
    digest.#readPending(reader, (flags & FLOATS_PENDING) !== 0);
    reader.end();
    reader.expect(Number.isSafeInteger(digest.#count), 'its count is beyond 2^53');
    digest.#tied = (flags & TIED) !== 0;
    digest.#hit = digest.#firstHit();
    return digest;
  }

  #readCells(reader: BytesReader): void {
    const length = 2 * reader.varint();
    reader.expect(length <= 4 * this.#cellsMax, 'it has too many cells');
    const cells = new Float64Array(Math.max(2 * FIRST_CELLS, length));
    let whole = 0;
    let before = Number.NEGATIVE_INFINITY;
    let wasBlend = false;
    for (let i = 0; i < length; i += 2) {
      const { value: weight, bits } = reader.varintAndBits();
      const isBlend = (bits & BLEND) !== 0;
      reader.expect(weight > (isBlend ? 1 : 0), 'a cell is empty');
      reader.expect(!isBlend || (i > 0 && i < length - 2), 'a blend is at its end');
      let mean: number;
      if (bits & FLOAT) mean = reader.f64();
      else {
        whole += reader.zigzag();
        mean = whole;
      }
      const ascends = mean > before || (mean === before && (isBlend || wasBlend));
      reader.expect(Number.isFinite(mean) && ascends, 'its cells do not ascend');
      cells[i] = mean;
      cells[i + 1] = isBlend ? -weight : weight;
      this.#count += weight;
      this.#blended ||= isBlend;
      before = mean;
      wasBlend = isBlend;
    }
    this.#cells = cells;
    this.#length = length;
  }

  #readPending(reader: BytesReader, floats: boolean): void {
    const count = reader.varint();
    const full = this.#blended || this.#length === 2 * this.#cellsMax;
    reader.expect(count < (full ? this.#pendingMax : 1), 'it has too many pending values');
    if (count > 0) this.#pending = new Float64Array(this.#pendingMax);
    for (let i = 0; i < count; i++) {
      const x = floats ? reader.f64() : reader.zigzag();
      reader.expect(Number.isFinite(x), 'a pending value is no number');
      this.#pending[i] = x;
    }
    this.#pendingCount = count;
    this.#count += count;
  }

  /** Whether both are lossless and stay so together. */
  #holdsAll(other: TDigest): boolean {
    return (
      !this.#blended &&
      !other.#blended &&
      this.#pendingCount + other.#pendingCount === 0 &&
      this.#length + other.#length <= 2 * this.#cellsMax
    );
  }

  /** Gives what merging the lists gives; of many digests of the same few values hardly any cell moves. */
  #mergeInPlace(other: TDigest): void {
    const theirs = other.#cells;
    let at = 0;
    for (let i = 0; i < other.#length; i += 2) {
      const x = theirs[i] as number;
      const weight = theirs[i + 1] as number;
      while (at < this.#length && (this.#cells[at] as number) < x) at += 2;
      if (at < this.#length && this.#cells[at] === x)
        this.#cells[at + 1] = (this.#cells[at + 1] as number) + weight;
      else this.#insert(at, x, weight);
    }
    this.#count += other.#count;
    this.#hit = 0;
  }

  /** Distinct values up to which nothing is lost. */
  get #cellsMax(): number {
    return 2 * this.compression;
  }

  /** Values that wait at most: as many as cells, so that a compaction costs each of them little. */
  get #pendingMax(): number {
    return 2 * this.compression;
  }

  #addElsewhere(value: number, weight: number): void {
    if (!Number.isFinite(value) || !Number.isSafeInteger(weight) || weight < 1) {
      throw new FatalError(
        `a digest can't add ${value} (weight ${weight}); leave out what is no finite number, and give weights as positive whole numbers`,
        { code: 'DIGEST_VALUE_INVALID' },
      );
    }
    const x = value + 0; // -0 becomes 0: equal values, equal bytes.
    if (!this.#blended || this.#tied) {
      const at = this.#search(x);
      const cells = this.#cells;
      if (at < this.#length && cells[at] === x && (cells[at + 1] as number) > 0) {
        cells[at + 1] = (cells[at + 1] as number) + weight;
        this.#hit = at;
        this.#count += weight;
        return;
      }
      if (!this.#blended && this.#length < 2 * this.#cellsMax) {
        this.#insert(at, x, weight);
        this.#count += weight;
        return;
      }
    }
    this.#count += weight;
    if (weight === 1) {
      this.#wait(x);
    } else {
      mergeCells(this.#view(MINE), { cells: Float64Array.of(x, weight), length: 2 }, MERGED);
      this.#take(MERGED);
    }
  }

  /** First place whose mean is not below x; of equal means the one that is no blend. */
  #search(x: number): number {
    const cells = this.#cells;
    let low = 0;
    let high = this.#length >> 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((cells[2 * middle] as number) < x) low = middle + 1;
      else high = middle;
    }
    let at = 2 * low;
    while (at < this.#length && cells[at] === x && (cells[at + 1] as number) < 0) at += 2;
    return at;
  }

  #insert(at: number, x: number, weight: number): void {
    const length = this.#length;
    if (length === this.#cells.length) {
      const larger = new Float64Array(Math.min(2 * length, 2 * this.#cellsMax));
      larger.set(this.#cells);
      this.#cells = larger;
    }
    const cells = this.#cells;
    if (length - at > 32) cells.copyWithin(at + 2, at, length);
    else for (let i = length - 1; i >= at; i--) cells[i + 2] = cells[i] as number;
    cells[at] = x;
    cells[at + 1] = weight;
    this.#length = length + 2;
    this.#hit = at;
  }

  #wait(x: number): void {
    if (this.#pending.length === 0) this.#pending = new Float64Array(this.#pendingMax);
    this.#pending[this.#pendingCount++] = x;
    if (this.#pendingCount === this.#pendingMax) this.#take(this.#gather(MINE));
  }

  /** All cells, pending values among them; the next call for the same scratch overwrites them. */
  #view(scratch: ScratchCells): Cells {
    if (this.#pendingCount > 0) return this.#gather(scratch);
    return { cells: this.#cells, length: this.#length };
  }

  #gather(scratch: ScratchCells): ScratchCells {
    cellsOfValues(this.#pending.subarray(0, this.#pendingCount), WAITING);
    mergeCells({ cells: this.#cells, length: this.#length }, WAITING, scratch);
    return scratch;
  }

  /** Makes `list`, which holds all `#count` values, its own, blending when that is too long. */
  #take(list: ScratchCells): void {
    if (list.length > 2 * this.#cellsMax) blendCells(list, this.#count, this.compression);
    if (list.length > this.#cells.length) this.#cells = new Float64Array(roomFor(list.length));
    this.#cells.set(list.cells.subarray(0, list.length));
    this.#length = list.length;
    this.#pendingCount = 0;
    this.#blended = hasBlend(list);
    this.#tied = this.#blended && 2 * tiedWeight(list) >= this.#count;
    this.#hit = this.#firstHit();
  }

  /** A blended digest without many repeated values is not searched, so there a hit must not happen either. */
  #firstHit(): number {
    if (!this.#blended || this.#tied) return 0;
    let at = 0;
    while ((this.#cells[at + 1] as number) > 0) at += 2;
    return at;
  }

  #pendingIsWhole(): boolean {
    for (let i = 0; i < this.#pendingCount; i++) {
      if (!isWhole(this.#pending[i] as number)) return false;
    }
    return true;
  }
}

const isWhole = (x: number) => Number.isInteger(x) && Math.abs(x) <= INTEGER_MAX;

/** The next power of two, so that growing one by one copies little. */
const roomFor = (length: number) => 2 ** Math.ceil(Math.log2(length));
