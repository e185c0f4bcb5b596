/** A query's tags as filters of rows: literal values, or a regular expression behind `regex:` (spec §4.7). */
import { QueryFailed } from './errors.ts';
import type { MetricQuery } from './parse/query.ts';
import type { RowQuery, TagFilter } from './store.ts';

const REGEX_PREFIX = 'regex:';

export function rowQueryOf({
  name,
  startMs,
  endMs,
  tags,
}: Pick<MetricQuery, 'name' | 'startMs' | 'endMs' | 'tags'>): RowQuery {
  const filters = new Map<string, TagFilter>();
  for (const [tag, values] of tags) filters.set(tag, filterOf(values));
  return { metric: name, fromMs: startMs, toMs: endMs + 1, tags: filters };
}

function filterOf(values: readonly string[]): TagFilter {
  const literals = values.filter((value) => !value.startsWith(REGEX_PREFIX));
  // Of several expressions the greatest is the one that counts.
  const regex = values
    .filter((value) => value.startsWith(REGEX_PREFIX))
    .sort()
    .at(-1);
  if (regex === undefined) return { values: new Set(literals) };
  const pattern = patternOf(regex.slice(REGEX_PREFIX.length));
  return { values: new Set(literals), matches: (value) => pattern.test(value) };
}

/** Java's expression for the whole value. Leading flags and `\Q…\E` are translated. */
function patternOf(java: string): RegExp {
  const [, given = '', rest = java] = /^\(\?([ims]+)\)([\s\S]*)$/.exec(java) ?? [];
  const source = rest.replace(/\\Q([\s\S]*?)(?:\\E|$)/g, (_all, text: string) =>
    text.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&'),
  );
  for (const flags of [`${given}u`, given]) {
    try {
      return new RegExp(`^(?:${source})$`, [...new Set(flags)].join(''));
    } catch {
      // Without `u` more is let through, such as \- outside of a class.
    }
  }
  throw new QueryFailed(`not a regular expression: ${java}`);
}
