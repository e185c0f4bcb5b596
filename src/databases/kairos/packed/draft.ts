/**
 * Points of one request, checked and packed as they are read, in chunks by partition that are ready for the log.
 * A draft is used again and again by one caller at a time: fill, take, reset, all in one turn of the event loop.
 */
import type { DataPoint } from '../../../model/index.ts';
import { TIMESTAMP_MS_MAX } from '../column.ts';
import { reasonAgainstSeries, reasonAgainstValue } from '../point-check.ts';
import { type TtlOptions, ttlOf } from '../point-ttl.ts';
import { formatTags, tagListOf } from '../tag-string.ts';
import { encodeValue } from '../value.ts';
import { BLOCK_HEAD_BYTES, DOUBLE, HEAD_BYTES, LONG, type PackedType, STRING } from './format.ts';

export interface DraftOptions extends TtlOptions {
  readonly partitions: number;
  readonly partitionOf: (metric: Buffer) => number;
  readonly nowMs: () => number;
  /** As `WriteOptions.nonFinite`. */
  readonly nonFinite: 'reject' | 'store';
}

/** Metric and tags, checked and encoded once. */
export interface PackedSeries {
  readonly metric: string;
  readonly partition: number;
  /** Two lengths, metric, tag string. */
  readonly head: Buffer;
}

/** Some blocks of one partition, without a record's head. */
export interface PackedChunk {
  readonly partition: number;
  readonly points: number;
  readonly bytes: Buffer;
}

/** A chunk is closed at this size; it may be larger by one point. Small enough for any log, large enough to be cheap. */
const CHUNK_BYTES = 128 * 1_024;
/** What a draft keeps for its next user: room for a chunk. */
const KEPT_BYTES = 2 * CHUNK_BYTES;
const LONG_EXACT = 2 ** 51;

export class PointsDraft {
  /** Points in it. */
  count = 0;
  readonly #options: DraftOptions;
  readonly #parts: Part[];

  constructor(options: DraftOptions) {
    this.#options = options;
    this.#parts = Array.from({ length: options.partitions }, (_, partition) => new Part(partition));
  }

  /** The reason against the series when it can't be stored, as text. */
  series(metric: string, tags: Readonly<Record<string, string>>): PackedSeries | string {
    const reason = reasonAgainstSeries(metric, tags);
    if (reason !== undefined) return reason;
    const name = Buffer.from(metric);
    const tagString = Buffer.from(formatTags(tagListOf(tags)));
    const head = Buffer.allocUnsafeSlow(4 + name.length + tagString.length);
    head.writeUInt16BE(name.length, 0);
    head.writeUInt16BE(tagString.length, 2);
    name.copy(head, 4);
    tagString.copy(head, 4 + name.length);
    return { metric, partition: this.#options.partitionOf(name), head };
  }

  /** Seconds to live, 0 = for ever, of a point of this time; or why it can't be stored. */
  ttl(timestampMs: number, ttlSeconds: number): number | string {
    return ttlOf({ timestampMs, ttlSeconds }, this.#options, this.#options.nowMs());
  }

  /** A whole number below 2^51 in size, at a time within ±TIMESTAMP_MS_MAX, with a life that `ttl` gave. */
  addLong(series: PackedSeries, ttlSeconds: number, timestampMs: number, value: number): void {
    const part = this.#parts[series.partition] as Part;
    part.begin(series, LONG, ttlSeconds, 18);
    part.number(timestampMs);
    part.zigzag(value);
    this.count++;
  }

  addDouble(series: PackedSeries, ttlSeconds: number, timestampMs: number, value: number): void {
    const part = this.#parts[series.partition] as Part;
    part.begin(series, DOUBLE, ttlSeconds, 16);
    part.number(timestampMs);
    part.double(value);
    this.count++;
  }

  /** Any point. The reason when it can't be stored. */
  add(point: DataPoint, known?: PackedSeries): string | undefined {
    const { timestampMs, value } = point;
    const series = known ?? this.series(point.metric, point.tags);
    if (typeof series === 'string') return series;
    const reason = reasonAgainstValue(point, this.#options.nonFinite);
    if (reason !== undefined) return reason;
    const ttl = this.ttl(timestampMs, point.ttlSeconds ?? 0);
    if (typeof ttl === 'string') return ttl;
    if (typeof value === 'number') {
      this.addDouble(series, ttl, timestampMs, value);
      return undefined;
    }
    const small = Number(value);
    if (typeof value === 'bigint' && small > -LONG_EXACT && small < LONG_EXACT) {
      this.addLong(series, ttl, timestampMs, small);
      return undefined;
    }
    const bytes = encodeValue(value);
    const part = this.#parts[series.partition] as Part;
    part.begin(series, typeof value === 'bigint' ? LONG : STRING, ttl, 8 + bytes.length);
    part.number(timestampMs);
    part.bytes(bytes);
    this.count++;
    return undefined;
  }

  /** What it holds, the caller's from then on. */
  take(): PackedChunk[] {
    return this.#parts.flatMap((part) => part.take());
  }

  reset(): void {
    this.count = 0;
    for (const part of this.#parts) part.reset();
  }
}

export const isTimestamp = (ms: number): boolean =>
  Number.isInteger(ms) && Math.abs(ms) <= TIMESTAMP_MS_MAX;

/** One partition's blocks, one behind the other; a chunk is copied out as it closes, so that only one needs room. */
class Part {
  readonly #partition: number;
  /** The open chunk, of this length. */
  #buffer = Buffer.allocUnsafeSlow(16 * 1_024);
  #length = 0;
  #chunks: PackedChunk[] = [];
  #chunkPoints = 0;
  #series: PackedSeries | undefined;
  #type: PackedType = LONG;
  #ttlSeconds = 0;
  /** Where the open block's count stands. */
  #countAt = 0;
  #count = 0;

  constructor(partition: number) {
    this.#partition = partition;
  }

  /** Makes room for a point of at most `bytes`, in the open block or in a new one. */
  begin(series: PackedSeries, type: PackedType, ttlSeconds: number, bytes: number): void {
    const full = this.#length >= CHUNK_BYTES;
    if (full || series !== this.#series || type !== this.#type || ttlSeconds !== this.#ttlSeconds) {
      this.#endBlock();
      if (full) this.#endChunk();
      const { head } = series;
      this.#reserve(BLOCK_HEAD_BYTES + head.length + bytes);
      const buffer = this.#buffer;
      buffer[this.#length] = type;
      buffer.writeUInt32BE(ttlSeconds, this.#length + 1);
      buffer.set(head, this.#length + 5);
      this.#countAt = this.#length + 5 + head.length;
      this.#length = this.#countAt + 4;
      this.#series = series;
      this.#type = type;
      this.#ttlSeconds = ttlSeconds;
    } else this.#reserve(bytes);
    this.#count++;
  }

  number(value: number): void {
    this.#length = this.#buffer.writeDoubleLE(value, this.#length);
  }

  double(value: number): void {
    this.#length = this.#buffer.writeDoubleBE(value, this.#length);
  }

  zigzag(value: number): void {
    const buffer = this.#buffer;
    let at = this.#length;
    let rest = value >= 0 ? value * 2 : -value * 2 - 1;
    while (rest > 0x7fffffff) {
      buffer[at++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    while (rest > 0x7f) {
      buffer[at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    buffer[at++] = rest;
    this.#length = at;
  }

  bytes(bytes: Buffer): void {
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  take(): PackedChunk[] {
    this.#endBlock();
    this.#endChunk();
    return this.#chunks;
  }

  reset(): void {
    this.#length = 0;
    this.#chunks = [];
    this.#chunkPoints = 0;
    this.#series = undefined;
    this.#count = 0;
    if (this.#buffer.length > KEPT_BYTES) this.#buffer = Buffer.allocUnsafeSlow(16 * 1_024);
  }

  #endBlock(): void {
    if (this.#series === undefined) return;
    this.#buffer.writeUInt32BE(this.#count, this.#countAt);
    this.#chunkPoints += this.#count;
    this.#series = undefined;
    this.#count = 0;
  }

  #endChunk(): void {
    if (this.#length === 0) return;
    this.#chunks.push({
      partition: this.#partition,
      points: this.#chunkPoints,
      bytes: Buffer.from(this.#buffer.subarray(0, this.#length)),
    });
    this.#length = 0;
    this.#chunkPoints = 0;
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes + 4;
    if (needed <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2));
    larger.set(this.#buffer.subarray(0, this.#length));
    this.#buffer = larger;
  }
}

/** Chunks of one partition as one record of the log. */
export function recordOf(chunks: readonly PackedChunk[]): Buffer {
  const bytes = chunks.reduce((sum, chunk) => sum + chunk.bytes.length, HEAD_BYTES);
  const record = Buffer.allocUnsafe(bytes);
  record[0] = 1;
  record.writeUInt32BE(
    chunks.reduce((sum, { points }) => sum + points, 0),
    1,
  );
  let at = HEAD_BYTES;
  for (const chunk of chunks) {
    record.set(chunk.bytes, at);
    at += chunk.bytes.length;
  }
  return record;
}
