/**
 * Tags as KairosDB writes them into a row key: `dc=eu:host=web1:`. Names come in Java's String order, which is
 * UTF-16 code units, which is what JavaScript's `<` compares. Every `:` and `=` in a name is preceded by `:`,
 * in a value by `=`; so `k:1=x` = `v=1:y` reads `k::1:=x=v==1=:y:`.
 */

/** Names and values, ascending by name in UTF-16 order, names distinct. */
export type TagList = readonly (readonly [name: string, value: string])[];

/** Sorts a record's own tags; also safe for names such as `__proto__` or `10`. */
export function tagListOf(tags: Readonly<Record<string, string>>): TagList {
  const list = Object.entries(tags);
  return list.length < 2 ? list : list.sort(byName);
}

export const sortTags = (tags: Iterable<readonly [string, string]>): TagList =>
  [...tags].sort(byName);

const byName = (a: readonly [string, string], b: readonly [string, string]): number =>
  a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0;

/** A plain record again; every name becomes an own property. */
export const tagRecordOf = (tags: TagList): Record<string, string> => Object.fromEntries(tags);

export function formatTags(tags: TagList): string {
  let text = '';
  for (const [name, value] of tags) text += `${escaped(name, ':')}=${escaped(value, '=')}:`;
  return text;
}

function escaped(text: string, mark: string): string {
  return /[:=]/.test(text) ? text.replace(/[:=]/g, (sign) => mark + sign) : text;
}

/**
 * Undoes `formatTags`, as KairosDB's parser does: in a name `:` passes the next character through and `=` ends
 * it; in a value `=` passes the next through and `:` ends it. An unfinished last tag is left out.
 */
export function parseTags(text: string): TagList {
  const tags: [string, string][] = [];
  let name = '';
  let part = '';
  let inName = true;
  for (let i = 0; i < text.length; i++) {
    const sign = text[i] as string;
    if (sign === (inName ? ':' : '=')) {
      part += text[++i] ?? '';
    } else if (sign === (inName ? '=' : ':')) {
      if (inName) name = part;
      else tags.push([name, part]);
      inName = !inName;
      part = '';
    } else {
      part += sign;
    }
  }
  return sortTags(tags);
}
