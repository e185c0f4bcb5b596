/** Packed points as points, for whoever compares them; the way to the store makes no object of a point (`unpack.ts`). */
import type { DataPoint } from '../../../model/index.ts';
import { parseTags, tagRecordOf } from '../tag-string.ts';
import { decodeValue } from '../value.ts';
import {
  HEAD_BYTES,
  invalid,
  type PackedBlock,
  POINTS,
  readBlock,
  typeNames,
  valueEnd,
} from './format.ts';

/** `ttlSeconds`: from its writing, 0 = for ever. */
export type PackedPoint = DataPoint & { readonly ttlSeconds: number };

/** In their order. Throws PoisonError PACKED_INVALID, as the store does, and has then given nothing. */
export function readPackedPoints(record: Buffer): readonly PackedPoint[] {
  if (record[0] !== POINTS || record.length < HEAD_BYTES) throw invalid(record, 0);
  const points: PackedPoint[] = [];
  for (let at = HEAD_BYTES; at < record.length; ) {
    at = readPoints(record, readBlock(record, at), points);
  }
  return points;
}

/** Where the block ends. */
function readPoints(record: Buffer, block: PackedBlock, points: PackedPoint[]): number {
  const { type, ttlSeconds, metricStart, metricEnd, tagsEnd, count } = block;
  const metric = record.toString('utf8', metricStart, metricEnd);
  const tags = tagRecordOf(parseTags(record.toString('utf8', metricEnd, tagsEnd)));
  let { at } = block;
  for (let i = 0; i < count; i++) {
    if (at + 8 >= record.length) throw invalid(record, at);
    const timestampMs = record.readDoubleLE(at);
    const start = at + 8;
    at = valueEnd(record, type, start);
    const value = decodeValue(typeNames[type], record.subarray(start, at));
    points.push({ metric, tags, timestampMs, value, ttlSeconds });
  }
  return at;
}
