/**
 * Prepared batches of one INSERT again and again. Cassandra takes 1.2 µs less of a cell that comes in one than of a cell
 * that comes as a statement of its own in a batch's message (0058), and prepares only few sizes: what is between two is filled
 * up with the last one once more, which changes nothing, because all of a request have one stamp.
 */

/** The largest: larger ones are no faster, and Cassandra keeps each that was ever prepared. */
export const INSERTS_MAX = 128;

/** How many INSERTs the smallest batch has in which so many have room. */
export function insertsFor(count: number): number {
  const step = count <= 4 ? 1 : count <= 8 ? 2 : count <= 16 ? 4 : 8;
  return Math.ceil(count / step) * step;
}

const texts = new Map<string, string[]>();

/** The statement of so many of an INSERT, the same string each time. */
export function batchOfInserts(insert: string, inserts: number): string {
  let sizes = texts.get(insert);
  if (sizes === undefined) {
    sizes = [];
    texts.set(insert, sizes);
  }
  sizes[inserts] ??= `BEGIN UNLOGGED BATCH ${`${insert}; `.repeat(inserts)}APPLY BATCH`;
  return sizes[inserts];
}
