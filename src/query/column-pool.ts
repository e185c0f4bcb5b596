/**
 * Room for the columns of pages, used again as soon as a page is behind its reader. A page of a large group stands until
 * the rows beside it are there, so its columns outlived young collections, and what a query had read of weeks stood in
 * memory until the heap was collected whole (docs/decisions/0056).
 */

export interface Columns {
  readonly times: Float64Array;
  readonly numbers: Float64Array;
}

const CAPACITY_MIN = 32;
const BYTES_OF_DOUBLE = 8;

export class ColumnPool {
  readonly #lent = new Set<ArrayBufferLike>();
  /** By how many bytes they have. */
  readonly #free = new Map<number, ArrayBufferLike[]>();

  /** Columns for as many points, with whatever stood in them before. */
  take(points: number): Columns {
    const capacity = Math.max(CAPACITY_MIN, 2 ** Math.ceil(Math.log2(points)));
    const bytes = 2 * capacity * BYTES_OF_DOUBLE;
    const room = this.#free.get(bytes)?.pop() ?? new ArrayBuffer(bytes);
    this.#lent.add(room);
    return {
      times: new Float64Array(room, 0, points),
      numbers: new Float64Array(room, bytes / 2, points),
    };
  }

  /** Nobody reads these any more. Columns that are not of this pool are left alone. */
  giveBack({ times }: Columns): void {
    const room = times.buffer;
    if (!this.#lent.delete(room)) return;
    const free = this.#free.get(room.byteLength);
    if (free === undefined) this.#free.set(room.byteLength, [room]);
    else free.push(room);
  }
}
