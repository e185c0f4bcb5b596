/**
 * Reads the `spec` rows, or writes those that are missing, as KairosDB 1.3 does at its start (spec §2). They must
 * stand before the first metric name: a keyspace with names but no spec is taken for one of 1.2 and LEGACY.
 */
import { defaultStoredWidth, parseRowSpec, type RowSpec, type RowTimeUnit } from './row-spec.ts';
import type { WideRows } from './wide-rows.ts';

export const ROW_TIME_UNIT = 'row_time_unit';
export const ROW_WIDTH = 'row_width';

/** The stored spec; what is missing is decided and stored first. `unit` counts only in a keyspace without names. */
export async function ensureSpec(
  rows: WideRows,
  unit: Exclude<RowTimeUnit, 'LEGACY'> = 'MILLISECONDS',
): Promise<RowSpec> {
  const stored = await rows.readSpec();
  const storedUnit = stored.get(ROW_TIME_UNIT) ?? ((await hasNames(rows)) ? 'LEGACY' : unit);
  if (!stored.has(ROW_TIME_UNIT)) await rows.writeSpec(ROW_TIME_UNIT, storedUnit);
  const width = stored.get(ROW_WIDTH) ?? String(defaultStoredWidth(storedUnit as RowTimeUnit));
  const spec = parseRowSpec(storedUnit, width);
  if (!stored.has(ROW_WIDTH)) await rows.writeSpec(ROW_WIDTH, width);
  return spec;
}

/** The stored spec, without writing anything: what is missing counts as KairosDB 1.3 has it on a read-only cluster. */
export async function storedSpec(rows: WideRows): Promise<RowSpec> {
  const stored = await rows.readSpec();
  const unit = stored.get(ROW_TIME_UNIT) ?? 'MILLISECONDS';
  const width = stored.get(ROW_WIDTH) ?? String(defaultStoredWidth(unit as RowTimeUnit));
  return parseRowSpec(unit, width);
}

async function hasNames(rows: WideRows): Promise<boolean> {
  for await (const page of rows.metricNames()) if (page.length > 0) return true;
  return false;
}
