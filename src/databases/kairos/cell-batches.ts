/** Cuts the cells of a call into unlogged batches, bounded in cells and bytes: of one row each, or of a few short ones. */
import type { Statement, Unit } from './cassandra-session.ts';
import type { CellBatch } from './cell-batch.ts';
import { PackedCells } from './cell-inserts.ts';
import { cellsByRow } from './cells-by-row.ts';
import { COLUMN_BYTES } from './column.ts';
import { batchOfInserts, INSERTS_MAX } from './inserts.ts';
import { installPackedRequests } from './packed-requests.ts';
import { statements } from './statements.ts';

/** The bound of one batch beside its cells; a row with more gets several. */
const BATCH_BYTES = 128 * 1_024;

/** Of several rows together: what Cassandra 4 takes without a warning in its log and ours, by its own count (0062). */
const JOINED_ROWS = 10;
const JOINED_BYTES = 5 * 1_024;
const COUNTED_OF_ROW = 40;
const COUNTED_OF_CELL = 48;

/**
 * Each made when it is asked for. Of equal cells only the last is sent, because all of a call get one stamp. Short rows
 * share a request where they `mayJoin`: where all rows are on the one node that is asked.
 */
export function* unitsOfCells(batch: CellBatch, mayJoin = false): Generator<Unit> {
  const joined = new JoinedRows();
  for (const { cells } of cellsByRow(batch)) {
    const counted = mayJoin ? countedBytes(batch, cells) : JOINED_BYTES;
    if (counted > JOINED_BYTES / 2) {
      yield* unitsOfRow(batch, cells);
      continue;
    }
    if (!joined.hasRoomFor(counted)) yield new CellUnit(batch, joined.take());
    joined.add(cells, counted);
  }
  if (!joined.isEmpty) yield new CellUnit(batch, joined.take());
}

/** As Cassandra counts a row in a batch, with lives. */
function countedBytes(batch: CellBatch, cells: Uint32Array): number {
  let bytes = COUNTED_OF_ROW + cells.length * COUNTED_OF_CELL;
  for (const cell of cells) bytes += batch.lengthOf(cell);
  return bytes;
}

/** Short rows that wait for others of their kind. */
class JoinedRows {
  #rows: Uint32Array[] = [];
  #bytes = 0;

  get isEmpty(): boolean {
    return this.#rows.length === 0;
  }

  hasRoomFor(bytes: number): boolean {
    return this.#rows.length < JOINED_ROWS && this.#bytes + bytes <= JOINED_BYTES;
  }

  add(cells: Uint32Array, bytes: number): void {
    this.#rows.push(cells);
    this.#bytes += bytes;
  }

  /** The cells of all, row by row. */
  take(): Uint32Array {
    const rows = this.#rows;
    this.#rows = [];
    this.#bytes = 0;
    if (rows.length === 1) return rows[0] as Uint32Array;
    const cells = new Uint32Array(rows.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const row of rows) {
      cells.set(row, at);
      at += row.length;
    }
    return cells;
  }
}

function* unitsOfRow(batch: CellBatch, cells: Uint32Array): Generator<Unit> {
  let from = 0;
  let bytes = 0;
  for (let i = 0; i < cells.length; i++) {
    const length = batch.lengthOf(cells[i] as number);
    if (i - from === INSERTS_MAX || (i > from && bytes + length > BATCH_BYTES)) {
      yield new CellUnit(batch, cells.subarray(from, i));
      [from, bytes] = [i, 0];
    }
    bytes += length;
  }
  yield new CellUnit(batch, cells.subarray(from));
}

/** Its statements are made when it is sent, so that those of one call never stand in memory together. */
class CellUnit implements Unit {
  readonly routingKey: Buffer;
  readonly #batch: CellBatch;
  readonly #cells: Uint32Array;

  /** At least one cell; those of a row stand together. */
  constructor(batch: CellBatch, cells: Uint32Array) {
    this.#batch = batch;
    this.#cells = cells;
    this.routingKey = batch.keyOf(cells[0] as number);
  }

  get indexes(): readonly number[] {
    return [...this.#cells];
  }

  /** The same as one statement in the driver's eyes. Here too the bytes are its own. */
  get packed(): Statement | undefined {
    if (this.#cells.length === 1 || !installPackedRequests()) return undefined;
    const params = new PackedCells(this.#batch, this.#cells);
    return { query: batchOfInserts(statements.writeCell, params.inserts), params };
  }

  /** Their bytes are their own: the driver may still hold a request that was sent again on another connection. */
  get statements(): readonly Statement[] {
    const batch = this.#batch;
    let length = 0;
    for (const cell of this.#cells) length += COLUMN_BYTES + batch.lengthOf(cell);
    const bytes = Buffer.allocUnsafe(length);
    const made: Statement[] = [];
    let at = 0;
    for (const cell of this.#cells) {
      const value = bytes.writeUInt32BE(batch.columns[cell] as number, at);
      const end = value + batch.bytes.copy(bytes, value, batch.startOf(cell), batch.ends[cell]);
      const params = [
        batch.keyOf(cell),
        bytes.subarray(at, value),
        bytes.subarray(value, end),
        batch.lives[cell],
      ];
      made.push({ query: statements.writeCell, params });
      at = end;
    }
    return made;
  }
}
