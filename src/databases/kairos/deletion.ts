/** Deletes points by metric, time and tags (spec §11): whole rows with their index entries, the rest by range. */

import { type FoundRow, findRows, type RowQuery, timeBounds } from './row-query.ts';
import { columnsWithin } from './row-reader.ts';
import type { RowSpec } from './row-spec.ts';
import { indexedTagsOf, type TagIndexConfig } from './tag-index.ts';
import type { WideRows } from './wide-rows.ts';

export interface Deletion {
  readonly rows: WideRows;
  readonly spec: RowSpec;
  readonly tagIndex: TagIndexConfig | undefined;
  /** Runs a part of the delete while no point is being written, and makes writers forget what they indexed. */
  readonly exclusively: (part: () => Promise<void>) => Promise<void>;
}

/** Rows deleted while writers wait. */
const ROWS_AT_ONCE = 200;

/** Of a partition key in Cassandra. */
const KEY_BYTES_MAX = 65_535;

/**
 * Cassandra refuses to look for such a key at all, each time again, and a delete in the log that fails for ever would
 * hold up everything behind it.
 */
const mayExist = (metric: string): boolean =>
  metric !== '' && Buffer.byteLength(metric) <= KEY_BYTES_MAX;

/** May be run again after a failure. Rows found before a failure are gone with their points. */
export async function deletePoints(deletion: Deletion, query: RowQuery): Promise<void> {
  if (!mayExist(query.metric)) return;
  const { rows, spec, tagIndex, exclusively } = deletion;
  const bounds = timeBounds(query);
  if (bounds === undefined) return;
  const isWhole = (rowTimeMs: number) =>
    bounds.firstMs <= rowTimeMs && bounds.lastMs >= rowTimeMs + spec.rowSpanMs - 1;
  const emptied = new Set<number>();
  for await (const page of findRows(rows, spec, query, tagIndex)) {
    for (let from = 0; from < page.length; from += ROWS_AT_ONCE) {
      const part = page.slice(from, from + ROWS_AT_ONCE);
      for (const { row } of part) if (isWhole(row.rowTimeMs)) emptied.add(row.rowTimeMs);
      await exclusively(async () => {
        await Promise.all(
          part.map((found) =>
            isWhole(found.row.rowTimeMs)
              ? deleteWholeRow(deletion, found)
              : deletePart(deletion, found, query),
          ),
        );
      });
    }
  }
  // With tags in the query others of the same row time stay, so its entry must.
  if ((query.tags?.size ?? 0) > 0) return;
  const times = [...emptied];
  await exclusively(async () => {
    await Promise.all(times.map((time) => rows.deleteRowTime(query.metric, time)));
  });
}

/** Everything of a metric, its name too. */
export async function deleteMetric(deletion: Deletion, metric: string): Promise<void> {
  if (!mayExist(metric)) return;
  const query = { metric, fromMs: Number.NEGATIVE_INFINITY, toMs: Number.POSITIVE_INFINITY };
  await deletePoints(deletion, query);
  const { rows, exclusively } = deletion;
  await exclusively(async () => {
    await rows.deleteLegacyRowKeys(metric);
    await rows.deleteMetricName(metric);
  });
}

/** Points first: an entry without points does no harm, points without an entry would rise again with it. */
async function deleteWholeRow(
  { rows, tagIndex }: Deletion,
  { row, key, legacy }: FoundRow,
): Promise<void> {
  await rows.deleteRow(key);
  await rows.deleteRowKey(row, indexedTagsOf(tagIndex, row.metric, row.tags));
  if (legacy) await rows.deleteLegacyRowKey(row.metric, key);
}

async function deletePart(
  { rows, spec }: Deletion,
  { row, key }: FoundRow,
  query: RowQuery,
): Promise<void> {
  const columns = columnsWithin(spec, row.rowTimeMs, query);
  if (columns !== undefined) await rows.deleteCells({ key, ...columns });
}
