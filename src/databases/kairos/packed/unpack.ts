/** Packed points back as cells of rows: bytes are passed on, and only a series that is not known becomes text. */
import { columnOf, rowTimeOf } from '../column.ts';
import type { PreparedCells } from '../prepared-cells.ts';
import type { RowSpec } from '../row-spec.ts';
import type { SeriesCache } from '../series.ts';
import {
  HEAD_BYTES,
  invalid,
  type PackedBlock,
  POINTS,
  readBlock,
  typeNames,
  valueEnd,
} from './format.ts';

export interface PackedRecord {
  readonly record: Buffer;
  /** The record's place in the call. */
  readonly index: number;
  readonly spec: RowSpec;
  readonly series: SeriesCache;
}

/** Adds the points of a record. Throws PoisonError PACKED_INVALID half-way. */
export function unpackInto(prepared: PreparedCells, from: PackedRecord): void {
  const { record } = from;
  if (record[0] !== POINTS || record.length < HEAD_BYTES) throw invalid(record, 0);
  for (let at = HEAD_BYTES; at < record.length; ) {
    at = unpackBlock(prepared, from, readBlock(record, at));
  }
}

/** Where the block ends. */
function unpackBlock(
  prepared: PreparedCells,
  { record, index, spec, series: known }: PackedRecord,
  { type, ttlSeconds, metricStart, metricEnd, tagsEnd, count, at: start }: PackedBlock,
): number {
  const series = known.packed(record, metricStart, metricEnd, tagsEnd, typeNames[type]);
  const { batch, origins } = prepared;
  let at = start;
  let rowEndMs = Number.NEGATIVE_INFINITY;
  let rowTimeMs = 0;
  let place = -1;
  for (let i = 0; i < count; i++) {
    if (at + 8 >= record.length) throw invalid(record, at);
    const timestampMs = record.readDoubleLE(at);
    const valueStart = at + 8;
    at = valueEnd(record, type, valueStart);
    // Row times are simple above zero only.
    if (place < 0 || timestampMs < rowTimeMs || timestampMs >= rowEndMs) {
      rowTimeMs = rowTimeOf(spec, timestampMs);
      rowEndMs = timestampMs < 0 ? rowTimeMs : rowTimeMs + spec.rowModulusMs;
      place = prepared.place(known.rowOf(series, rowTimeMs), ttlSeconds);
    }
    const column = columnOf(spec, rowTimeMs, timestampMs);
    batch.addBytes(place, column, ttlSeconds, record, valueStart, at);
    origins.push(index);
  }
  return at;
}
