/** All group-bys by their names in a query; `tag` stands apart, because it groups rows and not points. */
import { bin } from './bin.ts';
import type { GroupByKind } from './group-by.ts';
import { time } from './time.ts';
import { value } from './value.ts';

export type { GroupBy } from './group-by.ts';
export { type TagGroup, type TagGroupBy, tag, tagGroupOf, tagViolations } from './tag.ts';

export const pointGroupBys: ReadonlyMap<string, GroupByKind> = new Map(
  [bin, time, value].map((kind) => [kind.name, kind]),
);
