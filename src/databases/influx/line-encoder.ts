/**
 * Rows of a reply into line protocol, bytes into bytes, with no value made in between: copying a million points is
 * mostly this. What it writes is what `encodeLine` writes of the same point; whatever needs more care (a name that is
 * altered, a point the server would refuse) it leaves to that one and to the sink, which take it point by point.
 *
 * Lines come series by series, each by time: a server that gets a series' points in order and one after another sorts
 * nothing when they are read again, and takes them in half the time.
 */
import { CHECKSUM_MODULO } from '../../model/index.ts';
import { encodeLine, encodeSeries, fitsSeriesKey, storedMeasurement, storedName } from './codec.ts';
import { endOf, MsgpackReader } from './msgpack.ts';
import type { Rows } from './query-reply.ts';

/** Series whose tags are remembered as written, at most; all are forgotten then. */
const SERIES_MAX = 10_000;
const STRING_BYTES_MAX = 1_048_576;
/** Longer than any number, boolean or time as text. */
const NUMBER_BYTES_MAX = 32;
const BILLION = 1_000_000_000;
/** Rows are cut into two bodies, so that the server works on both at once; into more only above this. */
const BODIES = 2;
const BODY_BYTES = 4 * 1_048_576;

interface Series {
  /** As they stand in a row. */
  readonly tags: Buffer;
  /** Measurement and tags as they are written; undefined: not by us. */
  readonly prefix: Buffer | undefined;
  /** Of the rows at hand, counted over all blocks; -1: none. */
  firstRow: number;
  lastRow: number;
  /** Another one of the same hash. */
  readonly next: Series | undefined;
}

export interface EncodedRows {
  /** Of the rows' checksums, modulo CHECKSUM_MODULO. */
  readonly sum: number;
  /** Undefined: some point needs more care. */
  readonly bodies: readonly Uint8Array<ArrayBuffer>[] | undefined;
}

export class LineEncoder {
  readonly #measurement: string;
  readonly #tags: readonly string[];
  /** `,name=` each; undefined: none is written by us. */
  readonly #names: readonly Buffer[] | undefined;
  readonly #nameLengthMax: number;
  /** By a hash of their tags. */
  readonly #series = new Map<number, Series>();
  #seriesCount = 0;
  #out: Buffer = Buffer.allocUnsafe(1 << 16);
  #at = 0;

  constructor(measurement: string, fields: readonly string[], tags: readonly string[]) {
    this.#measurement = measurement;
    this.#tags = tags;
    const isPlain = succeeding(() => storedMeasurement(measurement)) === measurement;
    this.#names = isPlain ? fieldNames(fields) : undefined;
    this.#nameLengthMax = Math.max(0, ...(this.#names ?? []).map(({ length }) => length));
  }

  encode(blocks: readonly Rows[]): EncodedRows {
    let sum = 0;
    for (const rows of blocks) sum = (sum + rows.sum()) % CHECKSUM_MODULO;
    return { sum, bodies: this.#names === undefined ? undefined : this.#bodies(blocks) };
  }

  #bodies(blocks: readonly Rows[]): readonly Uint8Array<ArrayBuffer>[] | undefined {
    const bodies: Uint8Array<ArrayBuffer>[] = [];
    const count = blocks.reduce((all, rows) => all + rows.count, 0);
    const rowsPerBody = Math.ceil(count / BODIES);
    let lines = 0;
    this.#at = 0;
    const end = () => {
      // A copy: the buffer is written again while these bytes are still on their way.
      bodies.push(new Uint8Array(this.#out.subarray(0, this.#at)));
      this.#at = lines = 0;
    };
    const nextRow = new Int32Array(count).fill(-1);
    for (const { prefix, firstRow } of this.#bySeries(blocks, nextRow)) {
      if (prefix === undefined) return undefined;
      let block = 0;
      let firstOfBlock = 0;
      for (let row = firstRow; row >= 0; row = nextRow[row] as number) {
        while (row - firstOfBlock >= (blocks[block] as Rows).count) {
          firstOfBlock += (blocks[block] as Rows).count;
          block++;
        }
        if (!this.#line(blocks[block] as Rows, row - firstOfBlock, prefix)) return undefined;
        if (++lines >= rowsPerBody || this.#at >= BODY_BYTES) end();
      }
    }
    if (lines > 0) end();
    return bodies;
  }

  /** In the order in which they first come; `nextRow` gets for each row the next one of its series. */
  #bySeries(
    blocks: readonly Rows[],
    nextRow: Int32Array,
  ): readonly Pick<Series, 'prefix' | 'firstRow'>[] {
    const all: Series[] = [];
    let at = 0;
    for (const rows of blocks) {
      for (let row = 0; row < rows.count; row++, at++) {
        const series = this.#seriesOf(rows, row);
        if (series.firstRow < 0) {
          all.push(series);
          series.firstRow = at;
        } else nextRow[series.lastRow] = at;
        series.lastRow = at;
      }
    }
    return all.map((series) => {
      const { prefix, firstRow } = series;
      series.firstRow = -1;
      return { prefix, firstRow };
    });
  }

  #seriesOf(rows: Rows, row: number): Series {
    const { bytes, bounds } = rows;
    const from = bounds[row * 3 + 1] as number;
    const to = bounds[row * 3 + 2] as number;
    let hash = 0;
    for (let i = from; i < to; i++) hash = (Math.imul(hash, 31) + (bytes[i] as number)) | 0;
    const first = this.#series.get(hash);
    for (let known = first; known !== undefined; known = known.next) {
      if (isEqual(known.tags, bytes, from, to)) return known;
    }
    return this.#newSeries(bytes.subarray(from, to), hash, first);
  }

  #newSeries(bytes: Buffer, hash: number, next: Series | undefined): Series {
    const reader = new MsgpackReader(bytes);
    const tags: [string, string][] = [];
    for (const name of this.#tags) {
      const value = reader.value();
      if (typeof value === 'string' && value !== '') tags.push([name, value]);
    }
    const prefix = this.#prefixOf(Object.fromEntries(tags));
    // Not a view: one of a whole reply would keep it.
    const series = { tags: Buffer.from(bytes), prefix, firstRow: -1, lastRow: -1, next };
    if (this.#seriesCount >= SERIES_MAX) {
      this.#series.clear();
      this.#seriesCount = 0;
    }
    this.#series.set(hash, series);
    this.#seriesCount++;
    return series;
  }

  #prefixOf(tags: Readonly<Record<string, string>>): Buffer | undefined {
    const isPlain = Object.entries(tags).flat().every(isStoredAsItIs);
    if (!isPlain) return undefined;
    const text = succeeding(() => encodeSeries(this.#measurement, tags));
    const fits = text !== undefined && fitsSeriesKey(text.length, this.#nameLengthMax);
    return fits ? Buffer.from(text) : undefined;
  }

  /** False when the point needs more care. */
  #line({ bytes, bounds }: Rows, row: number, prefix: Buffer): boolean {
    const names = this.#names as readonly Buffer[];
    const timeAt = bounds[row * 3] as number;
    this.#copy(prefix);
    let at = endOf(bytes, timeAt);
    let separator = 0x20;
    for (let field = 0; field < names.length; field++) {
      const type = bytes[at] as number;
      if (type === 0xc0) {
        at++;
        continue;
      }
      const nameAt = this.#at;
      this.#copy(names[field] as Buffer);
      this.#out[nameAt] = separator;
      separator = 0x2c;
      const end = endOf(bytes, at);
      if (!this.#value(bytes, at, end)) return false;
      at = end;
    }
    if (separator === 0x20) return false;
    this.#room(NUMBER_BYTES_MAX);
    this.#out[this.#at++] = 0x20;
    if (isOutermost(bytes, timeAt) || !this.#integer(bytes, timeAt)) return false;
    this.#out[this.#at++] = 0x0a;
    return true;
  }

  #value(bytes: Buffer, at: number, end: number): boolean {
    const type = bytes[at] as number;
    if (type >= 0xa0 && type < 0xc0) return this.#string(bytes, at + 1, end);
    if (type >= 0xd9 && type <= 0xdb)
      return this.#string(bytes, at + 1 + (1 << (type - 0xd9)), end);
    this.#room(NUMBER_BYTES_MAX);
    if (type === 0xcb) {
      const value = bytes.readDoubleBE(at + 1);
      // NaN and the infinities.
      if (value - value !== 0) return false;
      this.#ascii(Object.is(value, -0) ? '-0' : `${value}`);
      return true;
    }
    if (type === 0xc2 || type === 0xc3) {
      this.#ascii(type === 0xc3 ? 'true' : 'false');
      return true;
    }
    if (!this.#integer(bytes, at)) return false;
    this.#out[this.#at++] = 0x69;
    return true;
  }

  #string(bytes: Buffer, begin: number, end: number): boolean {
    if (end - begin > STRING_BYTES_MAX) return false;
    this.#room((end - begin) * 2 + 2);
    const out = this.#out;
    let to = this.#at;
    out[to++] = 0x22;
    for (let i = begin; i < end; i++) {
      const byte = bytes[i] as number;
      if (byte === 0x22 || byte === 0x5c) out[to++] = 0x5c;
      out[to++] = byte;
    }
    out[to++] = 0x22;
    this.#at = to;
    return true;
  }

  /** Of any size, in the room there is; false for what is none or does not fit in 64 bits with a sign. */
  #integer(bytes: Buffer, at: number): boolean {
    const type = bytes[at] as number;
    if (type < 0x80) return this.#digits(0, type);
    if (type >= 0xe0) return this.#negative(256 - type);
    switch (type) {
      case 0xcc:
        return this.#digits(0, bytes[at + 1] as number);
      case 0xcd:
        return this.#digits(0, bytes.readUInt16BE(at + 1));
      case 0xce:
        return this.#digits(0, bytes.readUInt32BE(at + 1));
      case 0xd0:
        return this.#signed(bytes.readInt8(at + 1));
      case 0xd1:
        return this.#signed(bytes.readInt16BE(at + 1));
      case 0xd2:
        return this.#signed(bytes.readInt32BE(at + 1));
      case 0xcf:
      case 0xd3: {
        const high = bytes.readUInt32BE(at + 1);
        const low = bytes.readUInt32BE(at + 5);
        if (high < 0x80000000) return this.#digits(high, low);
        if (type === 0xcf) return false;
        this.#out[this.#at++] = 0x2d;
        // Two's complement: the ones that carry only when the lower half is zero.
        return low === 0
          ? this.#digits(0x100000000 - high, 0)
          : this.#digits(0xffffffff - high, 0x100000000 - low);
      }
      default:
        return false;
    }
  }

  #signed(value: number): true {
    return value < 0 ? this.#negative(-value) : this.#digits(0, value);
  }

  #negative(magnitude: number): true {
    this.#out[this.#at++] = 0x2d;
    return this.#digits(0, magnitude);
  }

  /** high × 2^32 + low, divided by a billion 16 bits at a time, so that a double holds every step. */
  #digits(high: number, low: number): true {
    if (high === 0 && low < BILLION) return this.#small(low);
    const upper = Math.floor(high / BILLION);
    const first = (high - upper * BILLION) * 65_536 + (low >>> 16);
    const middle = Math.floor(first / BILLION);
    const second = (first - middle * BILLION) * 65_536 + (low & 0xffff);
    const lower = Math.floor(second / BILLION);
    const billions = upper * 4_294_967_296 + middle * 65_536 + lower;
    if (billions < BILLION) this.#small(billions);
    else {
      const top = Math.floor(billions / BILLION);
      this.#small(top);
      this.#nine(billions - top * BILLION);
    }
    return this.#nine(second - lower * BILLION);
  }

  /** Below a billion. */
  #small(value: number): true {
    let digits = 1;
    for (let bound = 10; bound <= value; bound *= 10) digits++;
    this.#padded(value, digits);
    return true;
  }

  #nine(value: number): true {
    this.#padded(value, 9);
    return true;
  }

  #padded(value: number, digits: number): void {
    const out = this.#out;
    let rest = value | 0;
    for (let to = this.#at + digits - 1; to >= this.#at; to--) {
      const next = (rest / 10) | 0;
      out[to] = 0x30 + rest - next * 10;
      rest = next;
    }
    this.#at += digits;
  }

  #ascii(text: string): void {
    for (let i = 0; i < text.length; i++) this.#out[this.#at++] = text.charCodeAt(i);
  }

  #copy(bytes: Buffer): void {
    const { length } = bytes;
    this.#room(length);
    const out = this.#out;
    const to = this.#at;
    // Names are short: a loop is quicker than a call into native code.
    for (let i = 0; i < length; i++) out[to + i] = bytes[i] as number;
    this.#at = to + length;
  }

  #room(bytes: number): void {
    if (this.#at + bytes <= this.#out.length) return;
    const larger = Buffer.allocUnsafe(2 * this.#out.length + bytes);
    this.#out.copy(larger, 0, 0, this.#at);
    this.#out = larger;
  }
}

function fieldNames(fields: readonly string[]): readonly Buffer[] | undefined {
  const names: Buffer[] = [];
  for (const name of fields) {
    if (!isStoredAsItIs(name)) return undefined;
    const point = { measurement: 'm', tags: {}, fields: { [name]: true }, timestampNs: 0n };
    const line = succeeding(() => encodeLine(point));
    if (line === undefined) return undefined;
    names.push(Buffer.from(`,${line.slice('m '.length, -'true 0'.length)}`));
  }
  return names;
}

function isEqual(known: Buffer, bytes: Buffer, from: number, to: number): boolean {
  if (known.length !== to - from) return false;
  for (let i = 0; i < known.length; i++) if (known[i] !== bytes[from + i]) return false;
  return true;
}

/** The server keeps the outermost times for itself. */
const isOutermost = (bytes: Buffer, at: number): boolean => {
  if (bytes[at] !== 0xd3) return false;
  const [high, low] = [bytes.readUInt32BE(at + 1), bytes.readUInt32BE(at + 5)];
  return (high === 0x80000000 && low < 2) || (high === 0x7fffffff && low === 0xffffffff);
};

const isStoredAsItIs = (name: string): boolean => succeeding(() => storedName(name)) === name;

const succeeding = <T>(make: () => T): T | undefined => {
  try {
    return make();
  } catch {
    return undefined;
  }
};
