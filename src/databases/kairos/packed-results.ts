/**
 * Makes the driver hand over the rows of our reads of points and row keys as the bytes they came in. Its own way, an object and two
 * buffers a row, takes five times the processor time of all that a query does with them. A result is taken when its
 * columns have the names that only our statements give them; if another release of the driver has no such place, its
 * rows come as ever and are packed here (docs/decisions/0020).
 */
import { createRequire } from 'node:module';
import type cassandra from 'cassandra-driver';
import { CELL_HEAD_BYTES, CellPacker } from './packed-cells.ts';
import type { CellPage } from './wide-rows.ts';

const PACKED = 'packed_';
/** What our statements call the columns; the key, of reads of several rows, comes before the other two. */
export const PACKED_KEY = `${PACKED}key`;
export const PACKED_COLUMN = `${PACKED}column`;
export const PACKED_VALUE = `${PACKED}value`;
/** Of row keys; the time, of several row times, comes before the other two. */
export const PACKED_ROW_TIME = `${PACKED}row_time`;
export const PACKED_TYPE = `${PACKED}type`;
export const PACKED_TAGS = `${PACKED}tags`;

interface Column {
  readonly name: string;
}

interface FrameInfo {
  readonly header: unknown;
  readonly meta: { readonly columns: readonly Column[] };
  readonly flagsInfo: unknown;
  readonly isStreaming?: boolean;
  readonly rowLength?: number;
}

interface Reader {
  offset: number;
  readonly buf: Buffer;
  readInt(): number;
  toEnd(): void;
}

interface ParserPrototype {
  parseRows?: (this: { push(item: unknown): void }, frame: FrameInfo, reader: Reader) => unknown;
  readonly isPacking?: boolean;
}

const NO_BYTES = Buffer.alloc(0);

/** Stands for all rows of a result. */
class PackedRows implements CellPage {
  bytes: Buffer;
  readonly count: number;

  constructor(bytes: Buffer, count: number) {
    this.bytes = bytes;
    this.count = count;
  }

  release(): void {
    this.bytes = NO_BYTES;
  }
}

let isInstalled = false;

/** Once per process, before the first connection. */
export function installPackedResults(): void {
  if (isInstalled) return;
  isInstalled = true;
  const require = createRequire(import.meta.url);
  let prototype: ParserPrototype | undefined;
  try {
    prototype = require('cassandra-driver/lib/streams.js').Parser?.prototype;
  } catch {
    // Another release of the driver: its rows are packed one by one.
  }
  const original = prototype?.parseRows;
  if (prototype === undefined || typeof original !== 'function') return;
  prototype.parseRows = function parseRows(frame, reader) {
    const { columns } = frame.meta;
    const isPacked =
      frame.isStreaming !== true &&
      frame.rowLength === undefined &&
      columns[0]?.name.startsWith(PACKED) === true;
    if (!isPacked) return original.call(this, frame, reader);
    const count = reader.readInt();
    const rows = count === 0 ? [] : [new PackedRows(reader.buf.subarray(reader.offset), count)];
    reader.toEnd();
    this.push({
      header: frame.header,
      result: { rows, meta: frame.meta, flags: frame.flagsInfo },
    });
  };
}

/** All rows of a result, one behind the other, each value behind its length. */
export interface PackedBytes {
  readonly bytes: Buffer;
  readonly count: number;
}

/** Undefined: they came as ever. */
export function bytesOfRows(rows: readonly cassandra.types.Row[]): PackedBytes | undefined {
  const [first] = rows as readonly unknown[];
  return first instanceof PackedRows ? first : undefined;
}

/** The page that a result of such a statement is. */
export function packedPage(rows: readonly cassandra.types.Row[]): CellPage {
  const [first] = rows as readonly unknown[];
  if (first instanceof PackedRows) return first;
  const packer = new CellPacker();
  for (const row of rows) {
    const value = row[PACKED_VALUE] as Buffer;
    packer.add((row[PACKED_COLUMN] as Buffer).readUInt32BE(0), value, 0, value.length);
  }
  return packer.page;
}

/** Rows of key, column and value as a page of each key, by key as latin1. */
export function packedByRow(rows: readonly cassandra.types.Row[]): ReadonlyMap<string, CellPage> {
  const [first] = rows as readonly unknown[];
  if (first instanceof PackedRows) return cutByRow(first);
  const packers = new Map<string, CellPacker>();
  for (const row of rows) {
    const key = (row[PACKED_KEY] as Buffer).toString('latin1');
    let packer = packers.get(key);
    if (packer === undefined) {
      packer = new CellPacker(256);
      packers.set(key, packer);
    }
    const value = row[PACKED_VALUE] as Buffer | null;
    packer.add(
      (row[PACKED_COLUMN] as Buffer).readUInt32BE(0),
      value ?? NO_BYTES,
      0,
      value?.length ?? 0,
    );
  }
  return new Map([...packers].map(([key, packer]) => [key, packer.page]));
}

/** Each cell comes behind the key of its row, and those of a row together: they move up over the keys between them. */
function cutByRow({ bytes, count }: CellPage): ReadonlyMap<string, CellPage> {
  const pages = new Map<string, CellPage>();
  let key = NO_BYTES;
  let row = { from: 0, cells: 0 };
  let [at, to] = [0, 0];
  const cut = () => {
    if (row.cells === 0) return;
    pages.set(key.toString('latin1'), { bytes: bytes.subarray(row.from, to), count: row.cells });
  };
  for (let i = 0; i < count; i++) {
    const keyAt = at + 4;
    const cellAt = keyAt + bytes.readInt32BE(at);
    if (i === 0 || bytes.compare(key, 0, key.length, keyAt, cellAt) !== 0) {
      cut();
      key = Buffer.from(bytes.subarray(keyAt, cellAt));
      row = { from: to, cells: 0 };
    }
    at = cellAt + CELL_HEAD_BYTES + Math.max(0, bytes.readInt32BE(cellAt + 8));
    bytes.copyWithin(to, cellAt, at);
    to += at - cellAt;
    row.cells++;
  }
  cut();
  return pages;
}
