/** Groups rows by the values of some tags; a missing tag counts as "". It splits before points are read. */
import { QueryFailed } from '../errors.ts';
import { quote } from '../json/json-text.ts';
import type { JsonValue } from '../json/json-value.ts';
import { list, long, type ObjectKind } from '../parse/property.ts';

const properties = { tags: list, start_date: long } as const;

export const tag: ObjectKind<typeof properties> = {
  name: 'tag',
  javaClass: 'org.kairosdb.core.groupby.TagGroupBy',
  properties,
};

export interface TagGroupBy {
  /** Names, in the query's order. */
  readonly tags: readonly JsonValue[];
}

export function tagViolations(
  tags: readonly JsonValue[] | undefined,
): readonly (readonly [path: string, message: string])[] {
  if (tags === undefined) return [['tags', 'may not be null']];
  return tags.length === 0 ? [['tags', 'may not be empty']] : [];
}

export interface TagGroup {
  /** Rows of equal keys are one group; groups come in the order of their keys. */
  readonly key: string;
  /** The group's entry in the answer, as JSON text. */
  readonly entry: string;
}

/** The group of a row. Throws QueryFailed when a name is no text, as KairosDB finds out only now. */
export function tagGroupOf(
  { tags: names }: TagGroupBy,
  rowTags: readonly (readonly [name: string, value: string])[],
): TagGroup {
  const values = new Map<string, string>();
  for (const name of names) {
    if (typeof name !== 'string') {
      throw new QueryFailed(
        name === null ? null : 'class java.lang.Object cannot be cast to class java.lang.String',
      );
    }
    values.set(name, rowTags.find(([each]) => each === name)?.[1] ?? '');
  }
  const members = [...values];
  return {
    key: members.map(([name, value]) => name + value).join(''),
    entry: `{"name":"tag","tags":[${names.map((name) => quote(name as string)).join(',')}],"group":{${members
      .map(([name, value]) => `${quote(name)}:${quote(value)}`)
      .join(',')}}}`,
  };
}
