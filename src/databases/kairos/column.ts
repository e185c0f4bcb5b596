/**
 * Row times and column names: which row of a series a time belongs to, and the four bytes that say where in
 * the row. Columns compare as unsigned big-endian numbers, so byte order is time order.
 *
 *   t = 2021-01-01T00:00:00.123Z          row time 1609372800000      offset d = 86400123
 *   ┌──────────────────────────────┐
 *   │ column, 4 bytes, big-endian  │      MILLISECONDS   d           05265c7b
 *   └──────────────────────────────┘      LEGACY         d << 1      0a4cb8f6   low bit: kairos_legacy float
 *                                         SECONDS        d / 1000
 */
import { assertInt } from './assert-int.ts';
import type { RowSpec } from './row-spec.ts';

export const COLUMN_BYTES = 4;
export const COLUMN_MAX = 2 ** 32 - 1;

/** Times beyond this, either way, have row times that a double can't hold exactly. */
export const TIMESTAMP_MS_MAX = Number.MAX_SAFE_INTEGER - 2 ** 32;

/** The start of the row that `timestampMs` lies in. Below zero rows start up to |t| mod width *before* t (spec §3). */
export function rowTimeOf(spec: RowSpec, timestampMs: number): number {
  return timestampMs - (Math.abs(timestampMs) % spec.rowModulusMs);
}

/** The column of a time in the row that starts at `rowTimeMs`, as an unsigned 32-bit number. */
export function columnOf(spec: RowSpec, rowTimeMs: number, timestampMs: number): number {
  const offset = timestampMs - rowTimeMs;
  const steps = spec.unit === 'SECONDS' ? Math.trunc(offset / 1_000) : offset;
  assertInt(steps, 0, 2 ** 31 - 1, 'offset in row');
  return spec.unit === 'LEGACY' ? (steps << 1) >>> 0 : steps;
}

/** The time that a column of a row stands for. */
export function timestampOf(spec: RowSpec, rowTimeMs: number, column: number): number {
  switch (spec.unit) {
    case 'LEGACY':
      return rowTimeMs + (column >>> 1);
    case 'MILLISECONDS':
      return rowTimeMs + (column | 0);
    case 'SECONDS':
      return rowTimeMs + (column | 0) * 1_000;
  }
}

/** The low bit of a LEGACY column: whether a `kairos_legacy` value is a float. Always false in other modes. */
export const isLegacyFloat = (spec: RowSpec, column: number): boolean =>
  spec.unit === 'LEGACY' && (column & 1) === 1;

export function encodeColumn(column: number): Buffer {
  const bytes = Buffer.allocUnsafe(COLUMN_BYTES);
  bytes.writeUInt32BE(column, 0);
  return bytes;
}

export const decodeColumn = (bytes: Buffer): number => bytes.readUInt32BE(0);
