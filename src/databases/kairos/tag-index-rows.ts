/** Indexes by tag what was written before the index was switched on, as `GET /api/v1/datapoints/index` does in KairosDB. */
import { type RowQuery, timeBounds } from './row-query.ts';
import type { RowSpec } from './row-spec.ts';
import { indexedTagsOf, type TagIndexConfig } from './tag-index.ts';
import type { RowKeyEntry, WideRows } from './wide-rows.ts';

/**
 * May be run again after a failure. The life of an index row can't be asked for, so these have no end; one whose points
 * have died costs a look at an empty row.
 */
export async function indexTags(
  rows: WideRows,
  spec: RowSpec,
  tagIndex: TagIndexConfig | undefined,
  query: Pick<RowQuery, 'metric' | 'fromMs' | 'toMs'>,
): Promise<void> {
  const bounds = timeBounds(query);
  if (bounds === undefined) return;
  const { metric } = query;
  for await (const times of rows.rowTimes(metric, bounds.firstMs - spec.rowSpanMs, bounds.lastMs)) {
    for (const rowTimeMs of times) {
      for await (const page of rows.rowKeys(metric, rowTimeMs)) {
        const entries: RowKeyEntry[] = [];
        for (const row of page) {
          const indexedTags = indexedTagsOf(tagIndex, metric, row.tags);
          if (indexedTags.length > 0) entries.push({ row, indexedTags, ttlSeconds: 0 });
        }
        if (entries.length > 0) await rows.writeRowKeys(entries);
      }
    }
  }
}
