/**
 * Prepared batches of INSERTs into one row. Cassandra takes 1.2 µs less of a cell that comes in one than of a cell that
 * comes as a statement of its own in a batch's message (0058), and prepares only few sizes: what is between two is filled up
 * with the last cell once more, which changes nothing, because all cells of a request have one stamp.
 */
import { statements } from './statements.ts';

/** The largest: larger ones are no faster, and Cassandra keeps each that was ever prepared. */
export const INSERTS_MAX = 128;

/** How many INSERTs the smallest batch has in which so many cells have room. */
export function insertsFor(cells: number): number {
  const step = cells <= 4 ? 1 : cells <= 8 ? 2 : cells <= 16 ? 4 : 8;
  return Math.ceil(cells / step) * step;
}

const texts = new Map<number, string>();

/** The statement of so many INSERTs. */
export function batchOfInserts(inserts: number): string {
  let text = texts.get(inserts);
  if (text === undefined) {
    text = `BEGIN UNLOGGED BATCH ${`${statements.writeCell}; `.repeat(inserts)}APPLY BATCH`;
    texts.set(inserts, text);
  }
  return text;
}
