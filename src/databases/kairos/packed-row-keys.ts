/**
 * Row keys from the bytes that Cassandra sends them in: the driver makes a row, two buffers and a map of each, of which a
 * query for one host of a hundred thousand throws all away but one.
 *
 *   ┌──────────────────────────┬────────────┬──────────────────────────────────────────────────────────┐
 *   │ row time, i32 8 + int64; │ i32 + type │ i32 + tags: how many, int32 │ i32 + name │ i32 + value │ … │ …
 *   │ of several times only    │            │                                                          │
 *   └──────────────────────────┴────────────┴──────────────────────────────────────────────────────────┘
 *   all big-endian; a length of -1 = null: no tags, or (no type) no row, only the partition's static column
 */
import type cassandra from 'cassandra-driver';
import {
  bytesOfRows,
  PACKED_ROW_TIME,
  PACKED_TAGS,
  PACKED_TYPE,
  type PackedBytes,
} from './packed-results.ts';
import type { RowKey } from './row-key.ts';
import { sortTags, type TagList } from './tag-string.ts';
import type { RowKeyFilter } from './wide-rows.ts';

export interface RowKeysOf {
  readonly metric: string;
  /** Undefined: the rows say it. */
  readonly rowTimeMs: number | undefined;
  readonly wanted: RowKeyFilter | undefined;
}

/** The keys that a result's rows are, in their order, without those that are not wanted. */
export function rowKeysOf(rows: readonly cassandra.types.Row[], of: RowKeysOf): RowKey[] {
  const packed = bytesOfRows(rows);
  if (packed !== undefined) return readRowKeys(packed, of);
  const found: RowKey[] = [];
  for (const row of rows) {
    const type = row[PACKED_TYPE] as string | null;
    if (type === null) continue;
    const rowTimeMs = of.rowTimeMs ?? Number(row[PACKED_ROW_TIME]);
    // An empty map reads as null.
    const tags = (row[PACKED_TAGS] as Map<string, string> | null) ?? [];
    found.push({ metric: of.metric, rowTimeMs, type, tags: sortTags(tags) });
  }
  return found;
}

/** The same of the bytes of a result. */
export const readRowKeys = (packed: PackedBytes, of: RowKeysOf): RowKey[] =>
  new Reader(packed, of).all();

type Tag = TagList[number];

interface Test {
  readonly name: Buffer;
  readonly passes: (value: string) => boolean;
}

class Reader {
  readonly #bytes: Buffer;
  readonly #count: number;
  readonly #of: RowKeysOf;
  readonly #tests: readonly Test[];
  #at = 0;
  /** Of the last key that was made: the next one has most of it again. */
  #type = '';
  #typeAt = 0;
  #typeEnd = 0;
  #tags: readonly Tag[] = [];
  /** Of its tags: where name and value of each stand. */
  #places: Int32Array = new Int32Array(0);

  constructor({ bytes, count }: PackedBytes, of: RowKeysOf) {
    this.#bytes = bytes;
    this.#count = count;
    this.#of = of;
    this.#tests = [...(of.wanted?.tests ?? [])].map(([name, passes]) => ({
      name: Buffer.from(name),
      passes,
    }));
  }

  all(): RowKey[] {
    const { metric, wanted } = this.#of;
    const bytes = this.#bytes;
    const found: RowKey[] = [];
    let [lastTimeMs, ofTime] = [Number.NaN, 0];
    for (let i = 0; i < this.#count; i++) {
      const rowTimeMs = this.#of.rowTimeMs ?? this.#time();
      const typeLength = bytes.readInt32BE(this.#at);
      const typeAt = this.#at + 4;
      const tagsAt = typeAt + Math.max(0, typeLength);
      const tagsLength = bytes.readInt32BE(tagsAt);
      this.#at = tagsAt + 4 + Math.max(0, tagsLength);
      if (typeLength < 0) continue;
      ofTime = rowTimeMs === lastTimeMs ? ofTime + 1 : 1;
      lastTimeMs = rowTimeMs;
      if (wanted !== undefined) wanted.mostOfOneTime = Math.max(wanted.mostOfOneTime, ofTime);
      if (!this.#passes(tagsAt + 4, tagsLength)) continue;
      const type = this.#typeOf(typeAt, tagsAt);
      found.push({ metric, rowTimeMs, type, tags: this.#tagsOf(tagsAt + 4, tagsLength) });
    }
    return found;
  }

  #time(): number {
    const at = this.#at + 4;
    this.#at = at + 8;
    return Number(this.#bytes.readBigInt64BE(at));
  }

  /** Whether the tags whose number stands at `from` pass all tests. */
  #passes(from: number, length: number): boolean {
    for (const { name, passes } of this.#tests) {
      const value = length < 4 ? undefined : this.#valueOf(from, name);
      if (value === undefined || !passes(value)) return false;
    }
    return true;
  }

  #valueOf(from: number, wanted: Buffer): string | undefined {
    const bytes = this.#bytes;
    const tags = bytes.readInt32BE(from);
    let at = from + 4;
    for (let i = 0; i < tags; i++) {
      const nameAt = at + 4;
      const nameEnd = nameAt + bytes.readInt32BE(at);
      const end = nameEnd + 4 + bytes.readInt32BE(nameEnd);
      if (nameEnd - nameAt === wanted.length && areEqual(bytes, nameAt, wanted, 0, wanted.length))
        return bytes.toString('utf8', nameEnd + 4, end);
      at = end;
    }
    return undefined;
  }

  #typeOf(from: number, to: number): string {
    const bytes = this.#bytes;
    const length = to - from;
    if (
      length !== this.#typeEnd - this.#typeAt ||
      !areEqual(bytes, from, bytes, this.#typeAt, length)
    )
      this.#type = bytes.toString('utf8', from, to);
    this.#typeAt = from;
    this.#typeEnd = to;
    return this.#type;
  }

  #tagsOf(from: number, length: number): TagList {
    if (length < 4) return [];
    const bytes = this.#bytes;
    const count = bytes.readInt32BE(from);
    const [before, was] = [this.#tags, this.#places];
    const tags: Tag[] = [];
    const places = new Int32Array(2 * count + 1);
    let at = from + 4;
    let isSorted = true;
    for (let i = 0; i < count; i++) {
      const nameEnd = at + 4 + bytes.readInt32BE(at);
      const end = nameEnd + 4 + bytes.readInt32BE(nameEnd);
      places[2 * i] = at;
      places[2 * i + 1] = nameEnd;
      const last = before[i];
      const [lastAt, lastNameEnd, lastEnd] = [
        was[2 * i],
        was[2 * i + 1],
        was[2 * i + 2],
      ] as number[];
      const isNamed = last !== undefined && this.#isAt(at, nameEnd, lastAt, lastNameEnd);
      if (isNamed && this.#isAt(nameEnd, end, lastNameEnd, lastEnd)) tags.push(last);
      else {
        const name = isNamed ? last[0] : bytes.toString('utf8', at + 4, nameEnd);
        tags.push([name, bytes.toString('utf8', nameEnd + 4, end)]);
      }
      if (i > 0 && (tags[i - 1] as Tag)[0] > (tags[i] as Tag)[0]) isSorted = false;
      at = end;
    }
    places[2 * count] = at;
    this.#tags = tags;
    this.#places = places;
    // Cassandra orders a map by bytes, KairosDB's keys by UTF-16 units.
    return isSorted ? tags : sortTags(tags);
  }

  /** Whether a text with its length, from `from` to `to`, is the one at `at`. */
  #isAt(from: number, to: number, at = 0, end = 0): boolean {
    return end - at === to - from && areEqual(this.#bytes, from, this.#bytes, at, to - from);
  }
}

/** A few bytes are compared sooner than a view of them is made. */
function areEqual(a: Buffer, aAt: number, b: Buffer, bAt: number, length: number): boolean {
  for (let i = length - 1; i >= 0; i--) if (a[aAt + i] !== b[bAt + i]) return false;
  return true;
}
