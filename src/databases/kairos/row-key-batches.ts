/**
 * Cuts entries of the row key index into unlogged batches of one partition each, bounded in entries and bytes: a metric's
 * rows of one time, all of which a start or a new row time brings at once. One mutation to Cassandra, whose bounds for
 * batches are for several.
 */
import type { Statement, Unit } from './cassandra-session.ts';
import { batchOfInserts, INSERTS_MAX } from './inserts.ts';
import { installPackedRequests } from './packed-requests.ts';
import type { RowKey } from './row-key.ts';
import { PackedRowKeys } from './row-key-inserts.ts';
import { rowKeyParams, taggedRowKeyParams } from './row-key-params.ts';
import { statements } from './statements.ts';
import type { TagList } from './tag-string.ts';
import type { RowKeyEntry } from './wide-rows.ts';

/** The bound of one batch in UTF-16 units of its tags. */
const BATCH_UNITS = 64 * 1_024;

/** Each made when it is asked for. What is refused of the tag index is refused of the entry it is of. */
export function* unitsOfRowKeys(entries: readonly RowKeyEntry[]): Generator<Unit> {
  const keys = new Partitions<number>((indexes) => new RowKeyUnit(entries, indexes));
  for (const [index, { row }] of entries.entries())
    yield* keys.add(partitionOf(row), index, unitsOf(row.tags));
  yield* keys.rest();

  const tagged = new Partitions<Tagged>((own) => ({
    statements: own.map(({ params }) => ({ query: statements.writeTaggedRowKey, params })),
    indexes: own.map(({ index }) => index),
  }));
  for (const [index, { row, indexedTags, ttlSeconds }] of entries.entries()) {
    for (const params of taggedRowKeyParams(row, indexedTags)) {
      const pair = params[3] as string;
      const partition = `${pair.length} ${pair}${partitionOf(row)}`;
      yield* tagged.add(partition, { index, params: [...params, ttlSeconds] }, unitsOf(row.tags));
    }
  }
  yield* tagged.rest();
}

interface Tagged {
  readonly index: number;
  readonly params: readonly unknown[];
}

const partitionOf = ({ metric, rowTimeMs }: RowKey): string => `${rowTimeMs} ${metric}`;

function unitsOf(tags: TagList): number {
  let units = 0;
  for (const [name, value] of tags) units += name.length + value.length;
  return units;
}

/** Items of partitions that come in any order, cut into units of one. */
class Partitions<T> {
  readonly #open = new Map<string, { readonly items: T[]; units: number }>();
  readonly #unitOf: (items: readonly T[]) => Unit;

  constructor(unitOf: (items: readonly T[]) => Unit) {
    this.#unitOf = unitOf;
  }

  *add(partition: string, item: T, units: number): Generator<Unit> {
    let own = this.#open.get(partition);
    if (own === undefined) {
      own = { items: [], units: 0 };
      this.#open.set(partition, own);
    }
    own.items.push(item);
    own.units += units;
    if (own.items.length < INSERTS_MAX && own.units < BATCH_UNITS) return;
    this.#open.delete(partition);
    yield this.#unitOf(own.items);
  }

  *rest(): Generator<Unit> {
    for (const { items } of this.#open.values()) yield this.#unitOf(items);
  }
}

/** Its statements are made when it is sent. */
class RowKeyUnit implements Unit {
  readonly indexes: readonly number[];
  readonly #entries: readonly RowKeyEntry[];

  constructor(entries: readonly RowKeyEntry[], indexes: readonly number[]) {
    this.#entries = entries;
    this.indexes = indexes;
  }

  get packed(): Statement | undefined {
    if (this.indexes.length === 1 || !installPackedRequests()) return undefined;
    const params = new PackedRowKeys(this.#own);
    return { query: batchOfInserts(statements.writeRowKey, params.inserts), params };
  }

  get statements(): readonly Statement[] {
    return this.#own.map(({ row, ttlSeconds }) => ({
      query: statements.writeRowKey,
      params: [...rowKeyParams(row), ttlSeconds],
    }));
  }

  get #own(): readonly RowKeyEntry[] {
    return this.indexes.map((index) => this.#entries[index] as RowKeyEntry);
  }
}
