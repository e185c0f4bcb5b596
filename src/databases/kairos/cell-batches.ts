/** Cuts the cells of a call into unlogged batches: one row each, bounded in cells and bytes. */
import type { Statement, Unit } from './cassandra-session.ts';
import type { CellBatch, CellRow } from './cell-batch.ts';
import { batchOfInserts, INSERTS_MAX } from './cell-inserts.ts';
import { cellsByRow } from './cells-by-row.ts';
import { COLUMN_BYTES } from './column.ts';
import { installPackedRequests, PackedCells } from './packed-requests.ts';
import { statements } from './statements.ts';

/** The bound of one batch beside its cells; a row with more gets several. */
const BATCH_BYTES = 128 * 1_024;

/** Each made when it is asked for. Of equal cells only the last is sent, because all of a call get one stamp. */
export function* unitsOfCells(batch: CellBatch): Generator<Unit> {
  for (const { row, cells } of cellsByRow(batch))
    yield* unitsOfRow(batch, (batch.rows[row] as CellRow).key, cells);
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
