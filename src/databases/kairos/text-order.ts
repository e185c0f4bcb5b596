/**
 * The first text, in UTF-8 order, behind all that begin with `prefix`; undefined when there is none. Works on code
 * points, whose order is that of their UTF-8, so that the bound is itself a valid text, as Cassandra demands.
 */
export function behindText(prefix: string): string | undefined {
  const points = Array.from(prefix, (sign) => sign.codePointAt(0) as number);
  while (points.length > 0) {
    const last = points.pop() as number;
    if (last === 0x10ffff) continue;
    // Surrogates are no code points of their own.
    return String.fromCodePoint(...points, last === 0xd7ff ? 0xe000 : last + 1);
  }
  return undefined;
}
