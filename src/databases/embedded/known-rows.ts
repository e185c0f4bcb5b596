/**
 * Row keys that were read before, by the bytes that the index has of them: a question about a thousand series reads a
 * thousand row keys each time, and they are the same as before. What is remembered can't be wrong, only be of no use.
 */
import { encodeRowKey, type RowKey } from '../kairos/row-key.ts';
import type { TagList } from '../kairos/tag-string.ts';

/** How a row key stands in the index, as JSON. */
export type StoredRow = [metric: string, rowTimeMs: number, type: string, tags: TagList];

/** Some 15,000 rows of four tags. */
const BYTES_MAX = 16 * 1_024 * 1_024;
/** Of a row beside its texts: objects, and the map's entry. */
const ROW_BYTES = 700;

export class KnownRow implements RowKey {
  readonly metric: string;
  readonly rowTimeMs: number;
  readonly type: string;
  readonly tags: TagList;
  #key: Buffer | undefined;
  #place: unknown;

  constructor([metric, rowTimeMs, type, tags]: StoredRow) {
    this.metric = metric;
    this.rowTimeMs = rowTimeMs;
    this.type = type;
    this.tags = tags;
  }

  get key(): Buffer {
    this.#key ??= encodeRowKey(this);
    return this.#key;
  }

  /** What the table of cells remembers of it, for that table alone. */
  get place(): unknown {
    return this.#place;
  }

  set place(place: unknown) {
    this.#place = place;
  }
}

export class KnownRows {
  readonly #rows = new Map<string, KnownRow>();
  #bytes = 0;

  /** `bytes`: the JSON of a stored row, a character for each byte. */
  rowOf(bytes: string): KnownRow {
    const known = this.#rows.get(bytes);
    if (known !== undefined) return known;
    const row = new KnownRow(JSON.parse(Buffer.from(bytes, 'latin1').toString()) as StoredRow);
    const size = ROW_BYTES + 4 * bytes.length;
    if (this.#bytes + size > BYTES_MAX) {
      this.#rows.clear();
      this.#bytes = 0;
    }
    this.#rows.set(bytes, row);
    this.#bytes += size;
    return row;
  }
}
