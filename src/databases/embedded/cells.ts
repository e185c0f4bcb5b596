/**
 * The cells of the embedded store: three LMDB tables. A row's key, often 80 bytes, is kept once and stands in for
 * itself as a six-byte id, so that a cell costs its column, its value and a few bytes.
 *
 *   rows       row key (or its first bytes and digest) → id                                 see keys.ts
 *   cells      ┌────────┬────────────┐   ┌────┬─────────────────┬───────┐
 *              │ id, 6  │ column, 4  │ → │ 00 │                 │ value │   lives for ever
 *              └────────┴────────────┘   │ 01 │ expiry ms, u48  │ value │   hidden from then on, swept later
 *              ┌────────┐                └────┴─────────────────┴───────┘
 *              │ id, 6  │              → the whole row key: the row's header, first in order
 *              └────────┘
 *   expiries   expiry ms, u48 · key in `cells` → (nothing)                                  what the sweep follows
 *
 * All functions that write run inside a write transaction of the caller's.
 */
import type { Database, RootDatabase } from 'lmdb';
import { CellPacker } from '../kairos/packed-cells.ts';
import type { Cell, CellPage, CellRange } from '../kairos/wide-rows.ts';
import { rowTableKey } from './keys.ts';

const ID_BYTES = 6;
const EXPIRY_BYTES = 6;
const FOR_EVER = Buffer.from([0]);
const NOTHING = Buffer.alloc(0);

/** A page, and the column it ends at when it is full. */
export interface EdgedPage extends CellPage {
  readonly last: Buffer | undefined;
}

type BinaryTable = Database<Buffer, Buffer>;

export const binaryTable = (root: RootDatabase, name: string): BinaryTable =>
  root.openDB<Buffer, Buffer>({ name, encoding: 'binary', keyEncoding: 'binary' });

export class CellTable {
  readonly #rows: BinaryTable;
  readonly #cells: BinaryTable;
  readonly #expiries: BinaryTable;

  constructor(root: RootDatabase) {
    this.#rows = binaryTable(root, 'rows');
    this.#cells = binaryTable(root, 'cells');
    this.#expiries = binaryTable(root, 'cell-expiries');
  }

  /** In the order given, so that the later of equal cells stays. */
  write(cells: readonly Cell[], nowMs: number): void {
    let key: Buffer | undefined;
    let id: Buffer = NOTHING;
    for (const cell of cells) {
      if (cell.key !== key) {
        key = cell.key;
        id = this.#idOf(key) ?? this.#makeRow(key);
      }
      const cellKey = Buffer.concat([id, cell.column]);
      if (cell.ttlSeconds === 0) {
        void this.#cells.put(cellKey, Buffer.concat([FOR_EVER, cell.value]));
      } else {
        const expiryMs = nowMs + cell.ttlSeconds * 1_000;
        void this.#cells.put(cellKey, Buffer.concat([expiryHead(expiryMs), cell.value]));
        void this.#expiries.put(expiryKey(expiryMs, cellKey), NOTHING);
      }
    }
  }

  /** One page; no transaction outlives it. Fewer than `limit` cells mean the end of the range. */
  readPage(range: CellRange, limit: number, nowMs: number): EdgedPage {
    const packer = new CellPacker();
    const id = this.#idOf(range.key);
    if (id === undefined || limit < 1) return { ...packer.page, last: undefined };
    const low = Buffer.concat([id, range.first ?? Buffer.from([0])]);
    // Bounds of LMDB are half-open, from the end one starts at; a byte more lies just behind a column.
    const high = Buffer.concat([id, range.last ?? Buffer.from([255, 255, 255, 255]), FOR_EVER]);
    if (Buffer.compare(low, high) >= 0) return { ...packer.page, last: undefined };
    let last: Buffer | undefined;
    const entries =
      range.order === 'descending'
        ? this.#cells.getRange({ start: high, end: justBefore(low, id), reverse: true })
        : this.#cells.getRange({ start: low, end: high });
    for (const { key, value } of entries) {
      if (value[0] === 1 && value.readUIntBE(1, EXPIRY_BYTES) <= nowMs) continue;
      packer.add(key, ID_BYTES, value, value[0] === 1 ? 1 + EXPIRY_BYTES : 1);
      if (packer.count === limit) {
        last = Buffer.from(key.subarray(ID_BYTES));
        break;
      }
    }
    return { ...packer.page, last };
  }

  /** Both bounds included; the row goes when its last cell goes. */
  delete({ key, first, last }: Pick<CellRange, 'key' | 'first' | 'last'>): void {
    const id = this.#idOf(key);
    if (id === undefined) return;
    const start = Buffer.concat([id, first ?? Buffer.from([0])]);
    const end = Buffer.concat([id, last ?? Buffer.from([255, 255, 255, 255]), FOR_EVER]);
    if (Buffer.compare(start, end) >= 0) return;
    for (const cellKey of [...this.#cells.getKeys({ start, end })])
      void this.#cells.remove(cellKey);
    this.#dropRowIfEmpty(id);
  }

  /** Removes up to `limit` cells that have expired; says how many entries it went through. */
  sweep(nowMs: number, limit: number): number {
    const rows = new Map<string, Buffer>();
    const end = expiryKey(nowMs + 1, NOTHING);
    const due = [...this.#expiries.getKeys({ start: Buffer.from([0]), end, limit })];
    for (const entry of due) {
      const cellKey = Buffer.from(entry.subarray(EXPIRY_BYTES));
      const value = this.#cells.get(cellKey);
      // The cell may have been written again since, with another life.
      if (value?.[0] === 1 && value.readUIntBE(1, EXPIRY_BYTES) <= nowMs) {
        void this.#cells.remove(cellKey);
        const id = cellKey.subarray(0, ID_BYTES);
        rows.set(id.toString('hex'), id);
      }
      void this.#expiries.remove(entry);
    }
    for (const id of rows.values()) this.#dropRowIfEmpty(id);
    return due.length;
  }

  #idOf(key: Buffer): Buffer | undefined {
    return this.#rows.get(rowTableKey(key));
  }

  #makeRow(key: Buffer): Buffer {
    const [highest] = this.#cells.getKeys({ reverse: true, limit: 1 });
    const id = Buffer.allocUnsafe(ID_BYTES);
    id.writeUIntBE((highest?.readUIntBE(0, ID_BYTES) ?? 0) + 1, 0, ID_BYTES);
    void this.#rows.put(rowTableKey(key), id);
    void this.#cells.put(id, key);
    return id;
  }

  #dropRowIfEmpty(id: Buffer): void {
    const end = Buffer.concat([id, Buffer.alloc(5, 0xff)]);
    const left = [...this.#cells.getKeys({ start: id, end, limit: 2 })];
    if (left.length > 1) return;
    const key = this.#cells.get(id);
    if (key === undefined) return;
    void this.#rows.remove(rowTableKey(key));
    void this.#cells.remove(id);
  }
}

function expiryHead(expiryMs: number): Buffer {
  const head = Buffer.allocUnsafe(1 + EXPIRY_BYTES);
  head[0] = 1;
  head.writeUIntBE(expiryMs, 1, EXPIRY_BYTES);
  return head;
}

function expiryKey(expiryMs: number, cellKey: Buffer): Buffer {
  const head = Buffer.allocUnsafe(EXPIRY_BYTES);
  head.writeUIntBE(expiryMs, 0, EXPIRY_BYTES);
  return Buffer.concat([head, cellKey]);
}

/** The excluded end of a reverse range whose last key may be `low`: the column before, or the row's header. */
function justBefore(low: Buffer, id: Buffer): Buffer {
  const before = Buffer.from(low);
  let at = before.length - 1;
  while (at >= ID_BYTES && before[at] === 0) before[at--] = 0xff;
  if (at < ID_BYTES) return id;
  before[at] = (before[at] as number) - 1;
  return before;
}
