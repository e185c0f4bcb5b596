/**
 * Entries of one partition of `row_keys` in the bytes of a prepared batch of INSERTs. They begin alike, and only the tags
 * differ for most.
 *
 *   entry  i32 + metric │ i32 + table's name │ 00000008 + row time, int64 │ i32 + type │ i32 + tags │ 00000004 + ttl
 *   tags   how many, int32 │ i32 + name │ i32 + value │ i32 + name …
 */
import { insertsFor } from './inserts.ts';
import { PackedInserts, writeInt32 } from './packed-requests.ts';
import type { RowKey } from './row-key.ts';
import { rowKeyParams } from './row-key-params.ts';
import { TABLE_NAME } from './schema.ts';
import type { RowKeyEntry } from './wide-rows.ts';

/** The most that a UTF-16 code unit takes in UTF-8. */
const UNIT_BYTES_MAX = 3;
/** Of an entry beside its texts, and of a tag. */
const ENTRY_BYTES = 8 * 4 + 8 + 4;
const TAG_BYTES = 2 * 4;

export class PackedRowKeys extends PackedInserts {
  readonly inserts: number;
  protected readonly firstValue: Buffer;
  protected readonly firstBytes: number;
  readonly #bytes: Buffer;

  /** At least one; all of one metric and row time. */
  constructor(entries: readonly RowKeyEntry[]) {
    super();
    const first = entries[0] as RowKeyEntry;
    this.inserts = insertsFor(entries.length);
    const writer = new EntryWriter(first.row);
    this.firstValue = Buffer.from(first.row.metric);
    this.firstBytes = writer.add(first);
    for (let i = 1; i < this.inserts; i++)
      writer.add(entries[Math.min(i, entries.length - 1)] as RowKeyEntry);
    this.#bytes = writer.taken();
    this.push(...rowKeyParams(first.row), first.ttlSeconds);
  }

  protected get allBytes(): number {
    return this.#bytes.length;
  }

  protected writeAll(request: Buffer, at: number): void {
    this.#bytes.copy(request, at);
  }
}

/** Where entries are put together; what is kept of it is a copy. More than this is not kept for the next ones. */
const ROOM_BYTES_KEPT = 256 * 1_024;
let room = Buffer.alloc(0);

class EntryWriter {
  #at = 0;
  readonly #head: number;

  /** Of a row of the partition. */
  constructor({ metric, rowTimeMs }: RowKey) {
    this.#reserve(ENTRY_BYTES + (metric.length + TABLE_NAME.length) * UNIT_BYTES_MAX);
    this.#text(metric);
    this.#text(TABLE_NAME);
    room.writeBigInt64BE(BigInt(rowTimeMs), writeInt32(room, this.#at, 8));
    this.#head = this.#at + 4 + 8;
    this.#at = 0;
  }

  taken(): Buffer {
    const bytes = Buffer.from(room.subarray(0, this.#at));
    if (room.length > ROOM_BYTES_KEPT) room = Buffer.alloc(0);
    return bytes;
  }

  /** Gives how many bytes it took. */
  add({ row: { type, tags }, ttlSeconds }: RowKeyEntry): number {
    const start = this.#at;
    let units = type.length;
    for (const [name, value] of tags) units += name.length + value.length;
    this.#reserve(this.#head + ENTRY_BYTES + tags.length * TAG_BYTES + units * UNIT_BYTES_MAX);
    // The first stands there already.
    room.copyWithin(start, 0, this.#head);
    this.#at = start + this.#head;
    this.#text(type);
    const tagsAt = this.#at;
    this.#at = writeInt32(room, tagsAt + 4, tags.length);
    for (const [name, value] of tags) {
      this.#text(name);
      this.#text(value);
    }
    writeInt32(room, tagsAt, this.#at - tagsAt - 4);
    this.#at = writeInt32(room, writeInt32(room, this.#at, 4), ttlSeconds);
    return this.#at - start;
  }

  #text(text: string): void {
    const { length } = text;
    const start = this.#at + 4;
    let at = start;
    for (let i = 0; i < length; i++) {
      const unit = text.charCodeAt(i);
      if (unit > 0x7f) {
        at = start + room.write(text, start);
        break;
      }
      room[at++] = unit;
    }
    writeInt32(room, this.#at, at - start);
    this.#at = at;
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= room.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(this.#at + bytes, 2 * room.length, 16_384));
    // All of it: how entries begin stands there before the first is added.
    room.copy(grown);
    room = grown;
  }
}
