/**
 * How a keyspace cuts time into rows and names columns: the two `spec` rows of KairosDB 1.3. A stored spec
 * always wins over configuration, because every column already written was encoded with it.
 */
import { FatalError } from '../../model/index.ts';

export const rowTimeUnits = ['LEGACY', 'MILLISECONDS', 'SECONDS'] as const;
export type RowTimeUnit = (typeof rowTimeUnits)[number];

export interface RowSpec {
  readonly unit: RowTimeUnit;
  /** The row time of t is t − |t| mod this. */
  readonly rowModulusMs: number;
  /**
   * How long reads, deletes and index lifetimes take a row to be. Equal to the modulus but in SECONDS mode,
   * where KairosDB 1.3.0 applies the width in seconds to a time in milliseconds (kept for compatibility).
   */
  readonly rowSpanMs: number;
}

/** Three weeks, the width that KairosDB has always used. */
export const DEFAULT_ROW_WIDTH_MS = 1_814_400_000;

/** The `row_width` that a new keyspace of this unit gets, as `spec` stores it. */
export const defaultStoredWidth = (unit: RowTimeUnit): number =>
  unit === 'SECONDS' ? DEFAULT_ROW_WIDTH_MS / 1_000 : DEFAULT_ROW_WIDTH_MS;

/**
 * The spec that two stored texts mean. Rejects what no column of four bytes could hold.
 * Throws FatalError KAIROS_SPEC_INVALID.
 */
export function parseRowSpec(unit: string, storedWidth: string): RowSpec {
  if (!rowTimeUnits.includes(unit as RowTimeUnit)) {
    throw invalid(
      `row_time_unit is ${JSON.stringify(unit)}, not one of ${rowTimeUnits.join(', ')}`,
    );
  }
  const width = /^\d{1,15}$/.test(storedWidth) ? Number(storedWidth) : 0;
  if (unit === 'SECONDS') {
    if (width < 1 || width > 2 ** 31) throw invalid(`row_width ${storedWidth} s is out of range`);
    return { unit, rowModulusMs: width, rowSpanMs: width * 1_000 };
  }
  // An offset must stay below 2^31: as a signed int in one mode, as 31 shifted bits in the other.
  if (width < 1 || width > 2 ** 31) throw invalid(`row_width ${storedWidth} ms is out of range`);
  return { unit: unit as RowTimeUnit, rowModulusMs: width, rowSpanMs: width };
}

const invalid = (what: string): FatalError =>
  new FatalError(`table spec: ${what}; another program's keyspace, or a damaged one`, {
    code: 'KAIROS_SPEC_INVALID',
  });
