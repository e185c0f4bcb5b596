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
  /** With `sumsOnly`: none. */
  readonly rows: readonly (readonly Cell[])[];
  /** CRC-32 of each point, where `ReadOptions.points` asked for it. */
  readonly sums: readonly number[];
}

export interface ReadOptions {
  /** Rows are points: time, so many fields, then these tags, which may stand before the rows instead. */
  readonly points?: { readonly fields: number; readonly tags: readonly string[] };
  /** Makes no values of the rows, only their checksums. */
  readonly sumsOnly?: boolean;
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
      const start = this.#at;
      if (!header.read(bytes, start)) break;
      this.#at = header.end;
      this.#missing += header.children - 1;
      if (this.#missing > 0) continue;
      if (this.#at > bytes.length) {
        // The last text or number is not whole yet: its header will be seen again.
        this.#at = start;
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

/** Of a value; one for all, since a reply has millions of them. */
class Header {
  /** Behind the value, or behind the header of an array or map. The value may end behind the bytes. */
  end = 0;
  children = 0;

  /** False when the header itself is not whole. */
  read(bytes: Buffer, at: number): boolean {
    if (at >= bytes.length) return false;
    const type = bytes[at] as number;
    if (type < 0x80 || type >= 0xe0) return this.#is(at + 1, 0);
    if (type < 0x90) return this.#is(at + 1, (type & 0x0f) * 2);
    if (type < 0xa0) return this.#is(at + 1, type & 0x0f);
    if (type < 0xc0) return this.#is(at + 1 + (type & 0x1f), 0);
    const length = LEAF_BYTES[type];
    if (length !== undefined) return this.#is(at + 1 + length, 0);
    const form = LENGTH_FORMS[type];
    if (form === undefined) throw unreadable(`a value of type 0x${type.toString(16)}`);
    const behind = at + 1 + form.bytes;
    if (behind > bytes.length) return false;
    const count = bytes.readUIntBE(at + 1, form.bytes);
    return form.perItem === 0
      ? this.#is(behind + count, 0)
      : this.#is(behind, count * form.perItem);
  }

  #is(end: number, children: number): true {
    this.end = end;
    this.children = children;
    return true;
  }
}

const header = new Header();

/** Of binary and text, arrays, maps: bytes of the length, and values per item; 0: it counts bytes. */
const LENGTH_FORMS: Readonly<Record<number, { readonly bytes: number; readonly perItem: number }>> =
  {
    196: { bytes: 1, perItem: 0 },
    197: { bytes: 2, perItem: 0 },
    198: { bytes: 4, perItem: 0 },
    217: { bytes: 1, perItem: 0 },
    218: { bytes: 2, perItem: 0 },
    219: { bytes: 4, perItem: 0 },
    220: { bytes: 2, perItem: 1 },
    221: { bytes: 4, perItem: 1 },
    222: { bytes: 2, perItem: 2 },
    223: { bytes: 4, perItem: 2 },
  };

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
  readonly #sumsOnly: boolean;
  /** Cells of a row up to its tags. */
  readonly #pointCells: number;
  #at = 0;

  constructor(bytes: Buffer, { sumsOnly = false, points }: ReadOptions) {
    this.#bytes = bytes;
    this.#sumsOnly = sumsOnly;
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
        if (this.#sumsOnly) this.#pass();
        else row.push(this.value() as Cell);
        if (cell < this.#pointCells) end = this.#at;
      }
      if (!this.#sumsOnly) list.rows.push(row);
      list.bounds.push(start, end, this.#at);
    }
    return list;
  }

  /** Passes the header of an array; gives its length. */
  #open(): number {
    header.read(this.#bytes, this.#at);
    this.#at = header.end;
    return header.children;
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
