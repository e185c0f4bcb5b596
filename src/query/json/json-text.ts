/** Text as org.json 20180130 writes it. */

const PLAIN = /^[\u0020\u0021\u0023-\u002e\u0030-\u005b\u005d-\u007f\u00a0-\u1fff\u2100-\uffff]*$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what has to be escaped.
const ESCAPED = /["\\\u0000-\u001f\u0080-\u009f\u2000-\u20ff]|(?<=<)\//g;

const SHORT: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '/': '\\/',
  '\b': '\\b',
  '\t': '\\t',
  '\n': '\\n',
  '\f': '\\f',
  '\r': '\\r',
};

/** With quotes around it. `/` is escaped behind `<` only. */
export function quote(text: string): string {
  if (PLAIN.test(text)) return `"${text}"`;
  return `"${text.replace(ESCAPED, (sign) => SHORT[sign] ?? `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`)}"`;
}
