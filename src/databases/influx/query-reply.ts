/**
 * Replies of InfluxDB's /query in MessagePack, which alone keeps integers apart from floats and holds all 64 bits of
 * them (JSON does neither). A chunked reply is one document after another; each holds rows of at most one series:
 *
 *   { results: [ { statement_id, error?, partial?, series: [ { name, columns, values: [ row… ], partial? } ] } ] }
 *
 * 1.4 – 1.8 and 2.x write the same bytes for the same value, so a checksum of a point is one of their bytes: of its
 * time and fields, begun with that of its tags, which stand in its row or, in a query that groups by them, before it.
 */
import { crc32 } from 'node:zlib';
import { FatalError } from '../../model/index.ts';

/** Integers are bigints, floats numbers; a missing value is null. */
export type Cell = bigint | number | string | boolean | null;

export interface ReplyRows {
  readonly name: string;
  readonly columns: readonly string[];
  /** With `timesOnly`: of each row the first cell. */
  readonly rows: readonly (readonly Cell[])[];
  /** CRC-32 of each point, where `ReadOptions.points` asked for it. */
  readonly sums: readonly number[];
}

export interface ReadOptions {
  /** Rows are points: time, so many fields, then these tags, which may stand before the rows instead. */
  readonly points?: { readonly fields: number; readonly tags: readonly string[] };
  /** Leaves of each row all but its time unread. */
  readonly timesOnly?: boolean;
}

export interface ReplyPart {
  readonly series: readonly ReplyRows[];
  readonly error: string | undefined;
  /** More documents follow. */
  readonly partial: boolean;
}

/** Cuts a stream of bytes into whole documents, looking at each byte's header once. */
export class DocumentSplitter {
  #held: Buffer = Buffer.alloc(0);
  /** Where the next value's header begins, and how many values the document still lacks. */
  #at = 0;
  #missing = 1;

  push(chunk: Uint8Array): readonly Buffer[] {
    const bytes =
      this.#held.length === 0
        ? Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
        : Buffer.concat([this.#held, chunk]);
    const documents: Buffer[] = [];
    let begin = 0;
    for (;;) {
      const next = headerEnd(bytes, this.#at);
      if (next === undefined) break;
      this.#at = next.end;
      this.#missing += next.children - 1;
      if (this.#missing > 0) continue;
      if (this.#at > bytes.length) {
        // The last text or number is not whole yet: its header will be seen again.
        this.#at = next.start;
        this.#missing = 1;
        break;
      }
      documents.push(bytes.subarray(begin, this.#at));
      begin = this.#at;
      this.#missing = 1;
    }
    this.#held = bytes.subarray(begin);
    this.#at -= begin;
    return documents;
  }

  /** Whether the stream ended between documents. */
  get isWhole(): boolean {
    return this.#held.length === 0;
  }
}

interface Header {
  readonly start: number;
  /** Behind the value, or behind the header of an array or map. */
  readonly end: number;
  readonly children: number;
}

/** undefined when the header itself is not whole. The value may end behind the buffer. */
function headerEnd(bytes: Buffer, at: number): Header | undefined {
  if (at >= bytes.length) return undefined;
  const type = bytes[at] as number;
  const leaf = (length: number): Header => ({ start: at, end: at + 1 + length, children: 0 });
  const has = (length: number) => at + 1 + length <= bytes.length;
  if (type < 0x80 || type >= 0xe0) return leaf(0);
  if (type < 0x90) return { start: at, end: at + 1, children: (type & 0x0f) * 2 };
  if (type < 0xa0) return { start: at, end: at + 1, children: type & 0x0f };
  if (type < 0xc0) return leaf(type & 0x1f);
  switch (type) {
    case 0xc4:
    case 0xd9:
      return has(1) ? leaf(1 + bytes.readUInt8(at + 1)) : undefined;
    case 0xc5:
    case 0xda:
      return has(2) ? leaf(2 + bytes.readUInt16BE(at + 1)) : undefined;
    case 0xc6:
    case 0xdb:
      return has(4) ? leaf(4 + bytes.readUInt32BE(at + 1)) : undefined;
    case 0xdc:
      return has(2) ? { start: at, end: at + 3, children: bytes.readUInt16BE(at + 1) } : undefined;
    case 0xdd:
      return has(4) ? { start: at, end: at + 5, children: bytes.readUInt32BE(at + 1) } : undefined;
    case 0xde:
      return has(2)
        ? { start: at, end: at + 3, children: bytes.readUInt16BE(at + 1) * 2 }
        : undefined;
    case 0xdf:
      return has(4)
        ? { start: at, end: at + 5, children: bytes.readUInt32BE(at + 1) * 2 }
        : undefined;
    default: {
      const length = LEAF_BYTES[type];
      if (length === undefined) throw unreadable(`a value of type 0x${type.toString(16)}`);
      return leaf(length);
    }
  }
}

/** nil, false, true, float 32 and 64, unsigned and signed integers of 8 to 64 bits. */
const LEAF_BYTES: Readonly<Record<number, number>> = {
  192: 0,
  194: 0,
  195: 0,
  202: 4,
  203: 8,
  204: 1,
  205: 2,
  206: 4,
  207: 8,
  208: 1,
  209: 2,
  210: 4,
  211: 8,
};

export function readPart(document: Buffer, options: ReadOptions = {}): ReplyPart {
  const { results, error } = new Reader(document, options).value() as {
    results?: unknown;
    error?: unknown;
  };
  const [result = {}] = (Array.isArray(results) ? results : []) as {
    error?: string;
    partial?: boolean;
    series?: ReplySeries[];
  }[];
  return {
    error: typeof error === 'string' ? error : result.error,
    partial: result.partial === true,
    series: (result.series ?? []).map(({ name = '', tags, columns = [], values }) => ({
      name,
      columns,
      rows: values?.rows ?? [],
      sums:
        options.points === undefined || values === undefined
          ? []
          : sumsOf(document, values, tags && tagCells(tags, options.points.tags)),
    })),
  };
}

interface ReplySeries {
  readonly name?: string;
  readonly tags?: Readonly<Record<string, string>>;
  readonly columns?: string[];
  readonly values?: RowList;
}

/** `grouped`: the cells of tags that stand before the rows. */
function sumsOf(bytes: Buffer, { bounds }: RowList, grouped: Buffer | undefined): number[] {
  const sums: number[] = [];
  let seed = grouped === undefined ? 0 : crc32(grouped);
  for (let i = 0; i < bounds.length; i += 3) {
    const [start, end, rowEnd] = [bounds[i], bounds[i + 1], bounds[i + 2]];
    if (grouped === undefined) seed = crc32(bytes.subarray(end, rowEnd));
    sums.push(crc32(bytes.subarray(start, end), seed));
  }
  return sums;
}

/** Tags as a row would hold them: a text each, nil for one that is not there. */
function tagCells(tags: Readonly<Record<string, string>>, names: readonly string[]): Buffer {
  const cells: Buffer[] = [];
  for (const name of names) {
    const text = Buffer.from(tags[name] ?? '');
    const { length } = text;
    if (length === 0) cells.push(Buffer.of(0xc0));
    else if (length < 32) cells.push(Buffer.of(0xa0 | length), text);
    else if (length < 256) cells.push(Buffer.of(0xd9, length), text);
    else cells.push(Buffer.of(0xda, length >> 8, length & 0xff), text);
  }
  return Buffer.concat(cells);
}

class RowList {
  readonly rows: Cell[][] = [];
  /** Of each row three places: behind its header, behind its fields, behind its end. */
  readonly bounds: number[] = [];
}

class Reader {
  readonly #bytes: Buffer;
  readonly #timesOnly: boolean;
  /** Cells of a row up to its tags. */
  readonly #pointCells: number;
  #at = 0;

  constructor(bytes: Buffer, { timesOnly = false, points }: ReadOptions) {
    this.#bytes = bytes;
    this.#timesOnly = timesOnly;
    this.#pointCells = 1 + (points?.fields ?? 0);
  }

  value(): unknown {
    const bytes = this.#bytes;
    const type = bytes[this.#at++] as number;
    if (type < 0x80) return BigInt(type);
    if (type >= 0xe0) return BigInt(type - 256);
    if (type < 0x90) return this.#map(type & 0x0f);
    if (type < 0xa0) return this.#array(type & 0x0f);
    if (type < 0xc0) return this.#text(type & 0x1f);
    switch (type) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xca:
        return bytes.readFloatBE(this.#skip(4));
      case 0xcb:
        return bytes.readDoubleBE(this.#skip(8));
      case 0xcc:
        return BigInt(bytes.readUInt8(this.#skip(1)));
      case 0xcd:
        return BigInt(bytes.readUInt16BE(this.#skip(2)));
      case 0xce:
        return BigInt(bytes.readUInt32BE(this.#skip(4)));
      case 0xcf:
        return bytes.readBigUInt64BE(this.#skip(8));
      case 0xd0:
        return BigInt(bytes.readInt8(this.#skip(1)));
      case 0xd1:
        return BigInt(bytes.readInt16BE(this.#skip(2)));
      case 0xd2:
        return BigInt(bytes.readInt32BE(this.#skip(4)));
      case 0xd3:
        return bytes.readBigInt64BE(this.#skip(8));
      case 0xc4:
      case 0xd9:
        return this.#text(bytes.readUInt8(this.#skip(1)));
      case 0xc5:
      case 0xda:
        return this.#text(bytes.readUInt16BE(this.#skip(2)));
      case 0xc6:
      case 0xdb:
        return this.#text(bytes.readUInt32BE(this.#skip(4)));
      case 0xdc:
        return this.#array(bytes.readUInt16BE(this.#skip(2)));
      case 0xdd:
        return this.#array(bytes.readUInt32BE(this.#skip(4)));
      case 0xde:
        return this.#map(bytes.readUInt16BE(this.#skip(2)));
      case 0xdf:
        return this.#map(bytes.readUInt32BE(this.#skip(4)));
      default:
        throw unreadable(`a value of type 0x${type.toString(16)}`);
    }
  }

  #map(count: number): Record<string, unknown> {
    const map: Record<string, unknown> = {};
    for (let i = 0; i < count; i++) {
      const key = String(this.value());
      map[key] = key === 'values' ? this.#rows() : this.value();
    }
    return map;
  }

  #rows(): RowList {
    const list = new RowList();
    for (let rows = this.#open(); rows > 0; rows--) {
      const cells = this.#open();
      const start = this.#at;
      let end = start;
      const row: Cell[] = [];
      for (let cell = 0; cell < cells; cell++) {
        if (this.#timesOnly && cell > 0) this.#pass();
        else row.push(this.value() as Cell);
        if (cell < this.#pointCells) end = this.#at;
      }
      list.rows.push(row);
      list.bounds.push(start, end, this.#at);
    }
    return list;
  }

  /** Passes the header of an array; gives its length. */
  #open(): number {
    const { end, children } = headerEnd(this.#bytes, this.#at) as Header;
    this.#at = end;
    return children;
  }

  #pass(): void {
    for (let missing = 1; missing > 0; ) missing += this.#open() - 1;
  }

  #array(count: number): unknown[] {
    const values = new Array<unknown>(count);
    for (let i = 0; i < count; i++) values[i] = this.value();
    return values;
  }

  #text(length: number): string {
    const start = this.#skip(length);
    return this.#bytes.toString('utf8', start, start + length);
  }

  #skip(length: number): number {
    const start = this.#at;
    this.#at += length;
    return start;
  }
}

const unreadable = (what: string) =>
  new FatalError(`InfluxDB's reply holds ${what}, which no version known to us writes`, {
    code: 'REPLY_UNREADABLE',
  });
