/**
 * Short reads of several rows go as one request: of a few cells a row, the request is most of what Cassandra works for.
 * Those that are asked for within one turn of the thread and over the same columns are joined. What turns out to be more
 * than a page, or is refused for what it is, is read row by row; so a guess that was wrong costs a request.
 */
import { RetriableError } from '../../model/index.ts';
import type { CellPage } from './wide-rows.ts';

/** Of one request, whose rows Cassandra reads one after another: several requests keep several processors busy. */
const ROWS_MAX = 16;

/** The cells of rows, by key as latin1; a row without cells may be left out. Undefined: they are more than a page. */
export type ReadRows = (
  keys: readonly Buffer[],
  first: Buffer,
  last: Buffer,
) => Promise<ReadonlyMap<string, CellPage> | undefined>;

interface Joined {
  readonly keys: Buffer[];
  readonly cells: Promise<ReadonlyMap<string, CellPage> | undefined>;
}

export class JoinedReads {
  readonly #readRows: ReadRows;
  /** Not sent yet, by columns. */
  readonly #gathering = new Map<string, Joined>();

  constructor(readRows: ReadRows) {
    this.#readRows = readRows;
  }

  /** All cells of a row between two columns, as one page that may be empty; undefined when it must be read alone. */
  async read(key: Buffer, first: Buffer, last: Buffer): Promise<CellPage | undefined> {
    const columns = first.toString('latin1') + last.toString('latin1');
    let joined = this.#gathering.get(columns);
    if (joined === undefined) {
      joined = this.#gather(columns, first, last);
      this.#gathering.set(columns, joined);
    }
    joined.keys.push(key);
    if (joined.keys.length === ROWS_MAX) this.#gathering.delete(columns);
    const cells = await joined.cells;
    return cells === undefined ? undefined : (cells.get(key.toString('latin1')) ?? NO_CELLS);
  }

  #gather(columns: string, first: Buffer, last: Buffer): Joined {
    const keys: Buffer[] = [];
    const send = async () => {
      await new Promise((resolve) => setImmediate(resolve));
      if (this.#gathering.get(columns)?.keys === keys) this.#gathering.delete(columns);
      if (keys.length === 1) return undefined;
      try {
        return await this.#readRows(keys, first, last);
      } catch (error) {
        if (error instanceof RetriableError) throw error;
        return undefined;
      }
    };
    return { keys, cells: send() };
  }
}

const NO_CELLS: CellPage = { bytes: Buffer.alloc(0), count: 0 };
