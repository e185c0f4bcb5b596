/** Cuts the cells of a call into unlogged batches: one row each, bounded in cells and bytes. */
import type { Statement, Unit } from './cassandra-session.ts';
import type { CellBatch, CellRow } from './cell-batch.ts';
import { batchOfInserts, INSERTS_MAX } from './cell-inserts.ts';
import { COLUMN_BYTES } from './column.ts';
import { installPackedRequests, PackedCells } from './packed-requests.ts';
import { statements } from './statements.ts';

/** The bound of one batch beside its cells; a row with more gets several. */
const BATCH_BYTES = 128 * 1_024;

/** Each made when it is asked for. Of equal cells only the last is sent, because all of a call get one stamp. */
export function* unitsOfCells(batch: CellBatch): Generator<Unit> {
  const { ends, byRow } = cellsByRow(batch);
  for (const [row, { key }] of batch.rows.entries()) {
    const cells = byRow.subarray(row === 0 ? 0 : ends[row - 1], ends[row]);
    yield* unitsOfRow(batch, key, isRising(batch, cells) ? cells : lastOfEach(batch, cells));
  }
}

/** The cells of the first row, then those of the second …; of each row in their order. */
function cellsByRow({ rows, rowAt, count }: CellBatch): {
  readonly ends: Uint32Array;
  readonly byRow: Uint32Array;
} {
  const ends = new Uint32Array(rows.length + 1);
  for (let cell = 0; cell < count; cell++) (ends[(rowAt[cell] as number) + 1] as number)++;
  for (let row = 1; row < ends.length; row++)
    ends[row] = (ends[row] as number) + (ends[row - 1] as number);
  const byRow = new Uint32Array(count);
  // Where each row's next cell goes; in the end, where the row's cells end.
  for (let cell = 0; cell < count; cell++) {
    const row = rowAt[cell] as number;
    byRow[ends[row] as number] = cell;
    (ends[row] as number)++;
  }
  return { ends, byRow };
}

function isRising({ columns }: CellBatch, cells: Uint32Array): boolean {
  let last = -1;
  for (const cell of cells) {
    const column = columns[cell] as number;
    if (column <= last) return false;
    last = column;
  }
  return true;
}

function lastOfEach({ columns }: CellBatch, cells: Uint32Array): Uint32Array {
  const last = new Map<number, number>();
  for (const cell of cells) last.set(columns[cell] as number, cell);
  return Uint32Array.from(last.values());
}

function* unitsOfRow(batch: CellBatch, key: CellRow['key'], cells: Uint32Array): Generator<Unit> {
  let from = 0;
  let bytes = 0;
  for (let i = 0; i < cells.length; i++) {
    const cell = cells[i] as number;
    const length = (batch.ends[cell] as number) - batch.startOf(cell);
    if (i - from === INSERTS_MAX || (i > from && bytes + length > BATCH_BYTES)) {
      yield new CellUnit(batch, cells.subarray(from, i), key);
      [from, bytes] = [i, 0];
    }
    bytes += length;
  }
  yield new CellUnit(batch, cells.subarray(from), key);
}

/** Its statements are made when it is sent, so that those of one call never stand in memory together. */
class CellUnit implements Unit {
  readonly routingKey: Buffer;
  readonly #batch: CellBatch;
  readonly #cells: Uint32Array;

  constructor(batch: CellBatch, cells: Uint32Array, routingKey: Buffer) {
    this.#batch = batch;
    this.#cells = cells;
    this.routingKey = routingKey;
  }

  get indexes(): readonly number[] {
    return [...this.#cells];
  }

  /** The same as one statement in the driver's eyes. Here too the bytes are its own. */
  get packed(): Statement | undefined {
    if (this.#cells.length === 1 || !installPackedRequests()) return undefined;
    const params = new PackedCells(this.#batch, this.routingKey, this.#cells);
    return { query: batchOfInserts(params.inserts), params };
  }

  /** Their bytes are their own: the driver may still hold a request that was sent again on another connection. */
  get statements(): readonly Statement[] {
    const batch = this.#batch;
    let length = 0;
    for (const cell of this.#cells)
      length += COLUMN_BYTES + (batch.ends[cell] as number) - batch.startOf(cell);
    const bytes = Buffer.allocUnsafe(length);
    const made: Statement[] = [];
    let at = 0;
    for (const cell of this.#cells) {
      const value = bytes.writeUInt32BE(batch.columns[cell] as number, at);
      const end = value + batch.bytes.copy(bytes, value, batch.startOf(cell), batch.ends[cell]);
      const params = [
        this.routingKey,
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
