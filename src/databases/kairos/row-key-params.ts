/** Rows of the row key index as parameters of CQL. */
import type { RowKey } from './row-key.ts';
import { TABLE_NAME } from './schema.ts';
import { singleTagPair, tagCollectionHash } from './tag-hash.ts';
import type { TagList } from './tag-string.ts';

/** Of its entry in `row_keys`. */
export const rowKeyParams = ({ metric, rowTimeMs, type, tags }: RowKey): unknown[] => [
  metric,
  TABLE_NAME,
  rowTimeMs,
  type,
  new Map(tags),
];

/** Of its entries in `tag_indexed_row_keys`, one for each indexed tag. */
export function taggedRowKeyParams(
  { metric, rowTimeMs, type, tags }: RowKey,
  indexedTags: TagList,
): unknown[][] {
  if (indexedTags.length === 0) return [];
  const map = new Map(tags);
  const hash = tagCollectionHash(indexedTags);
  return indexedTags.map((tag) => [
    metric,
    TABLE_NAME,
    rowTimeMs,
    singleTagPair(tag),
    type,
    hash,
    map,
  ]);
}
