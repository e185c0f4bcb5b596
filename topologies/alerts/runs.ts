/**
 * A set of whole numbers that mostly come as runs of neighbours (buckets of time in which something was seen):
 * [from, to, from, to, …], ascending, both ends included. Memory is that of the pauses.
 */
export type Runs = readonly number[];

/** In any order; nearly always at the end. */
export function withNumber(runs: Runs, n: number): Runs {
  const last = runs.at(-1);
  if (last === undefined || n > last + 1) return [...runs, n, n];
  if (n === last + 1) return [...runs.slice(0, -1), n];
  const pairs: [number, number][] = [];
  for (let i = 0; i < runs.length; i += 2) {
    const [from, to] = [runs[i] as number, runs[i + 1] as number];
    if (n >= from && n <= to) return runs;
    pairs.push([from, to]);
  }
  pairs.push([n, n]);
  pairs.sort((a, b) => a[0] - b[0]);
  const joined: number[] = [];
  for (const [from, to] of pairs) {
    const end = joined.at(-1);
    if (end !== undefined && from <= end + 1) joined[joined.length - 1] = Math.max(end, to);
    else joined.push(from, to);
  }
  return joined;
}

/** The greatest number of the set that is at most `n`; undefined when there is none. */
export function greatestUpTo(runs: Runs, n: number): number | undefined {
  for (let i = runs.length - 2; i >= 0; i -= 2) {
    if ((runs[i] as number) <= n) return Math.min(n, runs[i + 1] as number);
  }
  return undefined;
}

/** How many numbers of the set lie in (after, upTo]. */
export function countBetween(runs: Runs, after: number, upTo: number): number {
  let count = 0;
  for (let i = runs.length - 2; i >= 0; i -= 2) {
    const from = Math.max(runs[i] as number, after + 1);
    const to = Math.min(runs[i + 1] as number, upTo);
    if (to >= from) count += to - from + 1;
    if ((runs[i + 1] as number) <= after) break;
  }
  return count;
}

/** Without what lies before `n`, but with the greatest number before it. */
export function cutBefore(runs: Runs, n: number): Runs {
  const keep = greatestUpTo(runs, n - 1) ?? n;
  const kept: number[] = [];
  for (let i = 0; i < runs.length; i += 2) {
    const to = runs[i + 1] as number;
    if (to >= keep) kept.push(Math.max(runs[i] as number, keep), to);
  }
  return kept;
}
