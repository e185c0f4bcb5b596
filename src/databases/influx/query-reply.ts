/**
 * Replies of InfluxDB's /query in MessagePack, which alone keeps integers apart from floats and holds all 64 bits of
 * them (JSON does neither). A chunked reply is one document after another; each holds rows of at most one series:
 *
 *   { results: [ { statement_id, error?, partial?, series: [ { name, tags?, columns, values: [ row… ], partial? } ] } ] }
 *
 * Rows stay bytes until somebody asks for their values. 1.4 – 1.8 and 2.x write the same bytes for the same value, so a
 * checksum of a point is one of their bytes: of its time and fields, begun with that of its tags, which stand in its
 * row or, in a query that groups by them, before it.
 */
import { crc32 } from 'node:zlib';
import { CHECKSUM_MODULO } from '../../model/index.ts';
import { endOf, MsgpackReader } from './msgpack.ts';

/** Integers are bigints, floats numbers; a missing value is null. */
export type Cell = bigint | number | string | boolean | null;

export interface ReplySeries {
  readonly name: string;
  readonly tags: Readonly<Record<string, string>> | undefined;
  readonly columns: readonly string[];
  readonly rows: Rows;
}

export interface ReplyPart {
  readonly series: readonly ReplySeries[];
  readonly error: string | undefined;
  /** More documents follow. */
  readonly partial: boolean;
}

/** Rows in the bytes of their reply. */
export class Rows {
  readonly bytes: Buffer;
  /** Of each row three places: behind its header, behind its fields, behind its end. */
  readonly bounds: readonly number[];

  constructor(bytes: Buffer, bounds: readonly number[]) {
    this.bytes = bytes;
    this.bounds = bounds;
  }

  get count(): number {
    return this.bounds.length / 3;
  }

  slice(from: number, to = this.count): Rows {
    return new Rows(this.bytes, this.bounds.slice(from * 3, to * 3));
  }

  /** Of a row that begins with its time. */
  timeNs(row: number): bigint {
    return new MsgpackReader(this.bytes, this.bounds[row * 3]).value() as bigint;
  }

  cells(row: number): Cell[] {
    const reader = new MsgpackReader(this.bytes, this.bounds[row * 3]);
    const end = this.bounds[row * 3 + 2] as number;
    const cells: Cell[] = [];
    while (reader.at < end) cells.push(reader.value() as Cell);
    return cells;
  }

  *[Symbol.iterator](): Generator<readonly Cell[]> {
    for (let row = 0; row < this.count; row++) yield this.cells(row);
  }

  /** CRC-32 of a point whose tags have this one. */
  checksum(row: number, ofTags: number): number {
    const { bytes, bounds } = this;
    return crc32(bytes.subarray(bounds[row * 3], bounds[row * 3 + 1]), ofTags);
  }

  /** CRC-32 of the tags that stand in the row. */
  tagsChecksum(row: number): number {
    const { bytes, bounds } = this;
    return crc32(bytes.subarray(bounds[row * 3 + 1], bounds[row * 3 + 2]));
  }
}

/** `fields`: of a row that is a point, how many cells behind its time are not tags. */
export function readPart(document: Buffer, fields = 0): ReplyPart {
  const reader = new MsgpackReader(document);
  const { results, error } = reader.value((key) =>
    key === 'values' && reader.isAtArray ? readRows(document, reader, fields) : undefined,
  ) as { results?: unknown; error?: unknown };
  const [result = {}] = (Array.isArray(results) ? results : []) as {
    error?: string;
    partial?: boolean;
    series?: {
      name?: string;
      tags?: Readonly<Record<string, string>>;
      columns?: string[];
      values?: Rows;
    }[];
  }[];
  return {
    error: typeof error === 'string' ? error : result.error,
    partial: result.partial === true,
    series: (result.series ?? []).map(({ name = '', tags, columns = [], values }) => ({
      name,
      tags,
      columns,
      rows: values ?? new Rows(document, []),
    })),
  };
}

function readRows(bytes: Buffer, reader: MsgpackReader, fields: number): Rows {
  const bounds: number[] = [];
  for (let rows = reader.open(); rows > 0; rows--) {
    const cells = reader.open();
    let at = reader.at;
    bounds.push(at);
    for (let cell = 0; cell < cells; cell++) {
      at = endOf(bytes, at);
      if (cell === fields) bounds.push(at);
    }
    bounds.push(at);
    reader.at = at;
  }
  return new Rows(bytes, bounds);
}

/** Sum of the checksums of a grouped query's rows, whose tags of these names stand before them. */
export function groupedSum({ tags = {}, rows }: ReplySeries, names: readonly string[]): number {
  const ofTags = crc32(tagCells(tags, names));
  let sum = 0;
  for (let row = 0; row < rows.count; row++) {
    sum = (sum + rows.checksum(row, ofTags)) % CHECKSUM_MODULO;
  }
  return sum;
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
