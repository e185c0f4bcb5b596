/** Which tags of which metrics are indexed: KairosDB's `tag_indexed_row_key_lookup_metrics` (spec §8). */
import type { TagList } from './tag-string.ts';

/** By metric, or `*` for all, the tag names; an empty list or one with `*` means all tags. */
export type TagIndexConfig = ReadonlyMap<string, readonly string[]>;

/** The tags of a series that go into the tag index, in name order; usually none. */
export function indexedTagsOf(
  config: TagIndexConfig | undefined,
  metric: string,
  tags: TagList,
): TagList {
  const names = config?.get(metric) ?? config?.get('*');
  if (names === undefined) return [];
  return names.length === 0 || names.includes('*')
    ? tags
    : tags.filter(([name]) => names.includes(name));
}

/** Whether rows of the metric can be found by this tag in the index. */
export function isIndexed(
  config: TagIndexConfig | undefined,
  metric: string,
  tag: string,
): boolean {
  return indexedTagsOf(config, metric, [[tag, '']]).length > 0;
}
