/**
 * Points as they wait in the log: many to a record, in the bytes that `data_points` will hold, so that neither door
 * nor sink makes an object of a point. A delete is a record of its own in the same partition, so that it takes what
 * was acknowledged before it and nothing that came after.
 *
 *   points   ┌────┬──────────────┐ ┌──────────────────────────────────────────────────────────────┐
 *            │ 01 │ points, u32  │ │ block: one series, one type, one life                        │ …
 *            └────┴──────────────┘ └──────────────────────────────────────────────────────────────┘
 *   block    ┌──────┬─────────┬─────────────┬───────────┬────────┬────────────┬────────────┐
 *            │ type │ ttl u32 │ metric len  │ tags len  │ metric │ tag string │ count, u32 │ count × point
 *            └──────┴─────────┴── u16 ──────┴── u16 ────┴────────┴────────────┴────────────┘
 *   point    time, ms, float64 LE · value as data_points holds it (value.ts: each type tells its own length)
 *   delete   02 · JSON of the query
 *
 *   m{h=a} = 300 at 1000:  01 00000001  00 00000000 0001 0004 6d 683d613a 00000001  0000000000408f40 d804
 */
import { PoisonError } from '../../../model/index.ts';
import { DOUBLE_TYPE, LONG_TYPE, STRING_TYPE } from '../value.ts';

export const POINTS = 1;
export const DELETE = 2;
export const HEAD_BYTES = 5;
export const BLOCK_HEAD_BYTES = 9;

/** By the byte that stands for it. */
export const typeNames = [LONG_TYPE, DOUBLE_TYPE, STRING_TYPE] as const;
export const LONG = 0;
export const DOUBLE = 1;
export const STRING = 2;
export type PackedType = typeof LONG | typeof DOUBLE | typeof STRING;

/** One series × type × life of a record; its points begin at `at`. */
export interface PackedBlock {
  readonly type: PackedType;
  readonly ttlSeconds: number;
  readonly metricStart: number;
  readonly metricEnd: number;
  /** Where its tag string, which starts at `metricEnd`, ends. */
  readonly tagsEnd: number;
  readonly count: number;
  readonly at: number;
}

export const isDelete = (record: Buffer): boolean => record[0] === DELETE;

/** How many points a record says it has; a delete counts as one. */
export const pointsOf = (record: Buffer): number =>
  record[0] === POINTS && record.length >= HEAD_BYTES ? record.readUInt32BE(1) : 1;

/** The block at `at`. Throws PoisonError PACKED_INVALID when the record ends before it does. */
export function readBlock(record: Buffer, at: number): PackedBlock {
  const type = record[at] as number;
  if (type > STRING || at + BLOCK_HEAD_BYTES > record.length) throw invalid(record, at);
  const metricStart = at + BLOCK_HEAD_BYTES;
  const metricEnd = metricStart + record.readUInt16BE(at + 5);
  const tagsEnd = metricEnd + record.readUInt16BE(at + 7);
  if (tagsEnd + 4 > record.length) throw invalid(record, at);
  return {
    type: type as PackedType,
    ttlSeconds: record.readUInt32BE(at + 1),
    metricStart,
    metricEnd,
    tagsEnd,
    count: record.readUInt32BE(tagsEnd),
    at: tagsEnd + 4,
  };
}

/** Where the value that starts at `at` ends. Throws PoisonError PACKED_INVALID. */
export function valueEnd(record: Buffer, type: PackedType, at: number): number {
  let end: number;
  if (type === DOUBLE) end = at + 8;
  else if (type === LONG) {
    end = at;
    while (((record[end] ?? 0) & 0x80) !== 0) end++;
    end++;
  } else end = at + 2 + ((record[at] ?? 0) << 8) + (record[at + 1] ?? 0);
  if (end > record.length) throw invalid(record, at);
  return end;
}

export const invalid = (record: Buffer, at: number): PoisonError =>
  new PoisonError(`a record of ${record.length} bytes holds no points that end at byte ${at}`, {
    code: 'PACKED_INVALID',
  });

/** What a delete takes, as a query names it; `withName` also takes the metric's name away. */
export interface PackedDelete {
  readonly metric: string;
  /** Both included; ±Infinity leave a side open. */
  readonly startMs: number;
  readonly endMs: number;
  /** Values as a query has them, `regex:…` too. */
  readonly tags: ReadonlyMap<string, readonly string[]>;
  readonly withName: boolean;
}

interface DeleteJson {
  readonly metric: string;
  /** null: open. */
  readonly start: number | null;
  readonly end: number | null;
  readonly tags: readonly (readonly [name: string, values: readonly string[]])[];
  readonly withName: boolean;
}

export function encodeDelete({ metric, startMs, endMs, tags, withName }: PackedDelete): Buffer {
  const open = (ms: number) => (Number.isFinite(ms) ? ms : null);
  const json: DeleteJson = {
    metric,
    start: open(startMs),
    end: open(endMs),
    tags: [...tags],
    withName,
  };
  return Buffer.concat([Buffer.from([DELETE]), Buffer.from(JSON.stringify(json))]);
}

/** Throws PoisonError PACKED_INVALID. */
export function decodeDelete(record: Buffer): PackedDelete {
  try {
    const json = JSON.parse(record.toString('utf8', 1)) as DeleteJson;
    return {
      metric: json.metric,
      startMs: json.start ?? Number.NEGATIVE_INFINITY,
      endMs: json.end ?? Number.POSITIVE_INFINITY,
      tags: new Map(json.tags),
      withName: json.withName,
    };
  } catch {
    throw invalid(record, 1);
  }
}
