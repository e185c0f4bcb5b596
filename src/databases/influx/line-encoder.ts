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
import { writeLine } from './line-writer.ts';
import { MsgpackReader } from './msgpack.ts';
import type { Rows } from './query-reply.ts';

/** Series whose tags are remembered as written, at most; all are forgotten then. */
const SERIES_MAX = 10_000;
/** Longer than any number, boolean or time as text, with what stands around it. */
const NUMBER_BYTES_MAX = 32;
/** Rows are cut into two bodies, so that the server works on both at once; into more only above this. */
const BODIES = 2;
const BODY_BYTES = 4 * 1_048_576;

/** In the place of a row: it, or its series, is none that is written here. */
const NOT_BY_US = -2;

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
  /** Of a line without its prefix and the bytes of its texts. */
  readonly #fieldsLengthMax: number;
  #out: Buffer = Buffer.allocUnsafe(1 << 16);
  #at = 0;
  #lines = 0;

  constructor(measurement: string, fields: readonly string[], tags: readonly string[]) {
    this.#measurement = measurement;
    this.#tags = tags;
    const isPlain = succeeding(() => storedMeasurement(measurement)) === measurement;
    this.#names = isPlain ? fieldNames(fields) : undefined;
    const lengths = (this.#names ?? []).map(({ length }) => length);
    this.#nameLengthMax = Math.max(0, ...lengths);
    this.#fieldsLengthMax = lengths.reduce(
      (sum, length) => sum + length + NUMBER_BYTES_MAX,
      NUMBER_BYTES_MAX,
    );
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
    const nextRow = new Int32Array(count).fill(-1);
    this.#at = this.#lines = 0;
    const end = () => {
      // A copy: the buffer is written again while these bytes are still on their way.
      bodies.push(new Uint8Array(this.#out.subarray(0, this.#at)));
      this.#at = this.#lines = 0;
    };
    for (const { prefix, firstRow } of this.#bySeries(blocks, nextRow)) {
      if (prefix === undefined) return undefined;
      let row = firstRow;
      while (row >= 0) {
        row = this.#seriesLines({ blocks, nextRow, prefix, rowsPerBody }, row);
        if (row === NOT_BY_US) return undefined;
        if (this.#isFull(rowsPerBody)) end();
      }
    }
    if (this.#lines > 0) end();
    return bodies;
  }

  #isFull(rowsPerBody: number): boolean {
    return this.#lines >= rowsPerBody || this.#at >= BODY_BYTES;
  }

  /** Lines of a series from `from` on, until a body is full; gives the row that is next, or -1 at the series' end. */
  #seriesLines(
    {
      blocks,
      nextRow,
      prefix,
      rowsPerBody,
    }: {
      readonly blocks: readonly Rows[];
      readonly nextRow: Int32Array;
      readonly prefix: Buffer;
      readonly rowsPerBody: number;
    },
    from: number,
  ): number {
    let block = 0;
    let firstOfBlock = 0;
    let row = from;
    while (row >= 0 && !this.#isFull(rowsPerBody)) {
      while (row - firstOfBlock >= (blocks[block] as Rows).count) {
        firstOfBlock += (blocks[block] as Rows).count;
        block++;
      }
      if (!this.#line(blocks[block] as Rows, row - firstOfBlock, prefix)) return NOT_BY_US;
      this.#lines++;
      row = nextRow[row] as number;
    }
    return row;
  }

  /** In the order in which they first come; `nextRow` gets for each row the next one of its series. */
  #bySeries(
    blocks: readonly Rows[],
    nextRow: Int32Array,
  ): readonly Pick<Series, 'prefix' | 'firstRow'>[] {
    const all: Series[] = [];
    let at = 0;
    for (const rows of blocks) {
      for (let row = 0; row < rows.count; row++) this.#link(rows, row, { at: at++, nextRow, all });
    }
    return all.map((series) => {
      const { prefix, firstRow } = series;
      series.firstRow = -1;
      return { prefix, firstRow };
    });
  }

  /** `at`: the row's place among those of all blocks. */
  #link(
    rows: Rows,
    row: number,
    {
      at,
      nextRow,
      all,
    }: { readonly at: number; readonly nextRow: Int32Array; readonly all: Series[] },
  ): void {
    const series = this.#seriesOf(rows, row);
    if (series.firstRow < 0) {
      all.push(series);
      series.firstRow = at;
    } else nextRow[series.lastRow] = at;
    series.lastRow = at;
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
    const begin = bounds[row * 3] as number;
    const length = (bounds[row * 3 + 2] as number) - begin;
    // Each byte of a text may get a backslash.
    const room = this.#room(prefix.length + this.#fieldsLengthMax + 2 * length);
    const at = writeLine(room, this.#at, {
      prefix,
      names: this.#names as readonly Buffer[],
      bytes,
      begin,
    });
    if (at < 0) return false;
    this.#at = at;
    return true;
  }

  #room(bytes: number): Buffer {
    if (this.#at + bytes > this.#out.length) {
      const larger = Buffer.allocUnsafe(2 * this.#out.length + bytes);
      this.#out.copy(larger, 0, 0, this.#at);
      this.#out = larger;
    }
    return this.#out;
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

const isStoredAsItIs = (name: string): boolean => succeeding(() => storedName(name)) === name;

const succeeding = <T>(make: () => T): T | undefined => {
  try {
    return make();
  } catch {
    return undefined;
  }
};
