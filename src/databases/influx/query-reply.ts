/**
 * Replies of InfluxDB's /query in MessagePack, which alone keeps integers apart from floats and holds all 64 bits of
 * them (JSON does neither). A chunked reply is one document after another; each holds rows of at most one series:
 *
 *   { results: [ { statement_id, error?, partial?, series: [ { name, tags?, columns, values: [ row… ], partial? } ] } ] }
 *
 * Rows stay bytes until somebody asks for their values. 1.4 – 1.8 and 2.x write the same bytes for the same value, so a
 * checksum of a point is one of its row's bytes: of its time, fields and tags.
 */
import { CHECKSUM_MODULO } from '../../model/index.ts';
import { endOf, MsgpackReader } from './msgpack.ts';
import { rowChecksum } from './row-checksum.ts';

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
  readonly bounds: Int32Array;

  constructor(bytes: Buffer, bounds: Int32Array) {
    this.bytes = bytes;
    this.bounds = bounds;
  }

  get count(): number {
    return this.bounds.length / 3;
  }

  /** Of all rows. */
  get byteLength(): number {
    const { bounds } = this;
    return bounds.length === 0 ? 0 : (bounds.at(-1) as number) - (bounds[0] as number);
  }

  slice(from: number, to = this.count): Rows {
    return new Rows(this.bytes, this.bounds.subarray(from * 3, to * 3));
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

  /** Of all its bytes. */
  checksum(row: number): number {
    const { bytes, bounds } = this;
    return rowChecksum(bytes, bounds[row * 3] as number, bounds[row * 3 + 2] as number);
  }

  /** Of all rows, modulo CHECKSUM_MODULO; of their order it does not depend. */
  sum(): number {
    const { count } = this;
    let sum = 0;
    for (let row = 0; row < count; row += STRETCH_ROWS) {
      sum += sumOf(this, row, Math.min(row + STRETCH_ROWS, count));
    }
    // 2^21 rows would have to be in one reply for the sum to lose a bit.
    return sum % CHECKSUM_MODULO;
  }
}

/**
 * What is done with each row is done in stretches, a call each: a loop over all rows of a reply would be compiled while
 * it runs, without what is behind it, and thrown away at its end.
 */
const STRETCH_ROWS = 250;

function sumOf(rows: Rows, from: number, to: number): number {
  let sum = 0;
  for (let row = from; row < to; row++) sum += rows.checksum(row);
  return sum;
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
      rows: values ?? new Rows(document, new Int32Array()),
    })),
  };
}

function readRows(bytes: Buffer, reader: MsgpackReader, fields: number): Rows {
  const count = reader.open();
  const bounds = new Int32Array(count * 3);
  for (let row = 0; row < count; row += STRETCH_ROWS) {
    readBounds(bytes, reader, {
      bounds,
      fields,
      from: row,
      to: Math.min(row + STRETCH_ROWS, count),
    });
  }
  return new Rows(bytes, bounds);
}

function readBounds(
  bytes: Buffer,
  reader: MsgpackReader,
  {
    bounds,
    fields,
    from,
    to,
  }: {
    readonly bounds: Int32Array;
    readonly fields: number;
    readonly from: number;
    readonly to: number;
  },
): void {
  for (let row = from; row < to; row++) {
    const cells = reader.open();
    let { at } = reader;
    bounds[row * 3] = at;
    for (let cell = 0; cell < cells; cell++) {
      at = endOf(bytes, at);
      if (cell === fields) bounds[row * 3 + 1] = at;
    }
    bounds[row * 3 + 2] = at;
    reader.at = at;
  }
}
