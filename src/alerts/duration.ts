/** Durations as people write them: 30s, 5m, 2h, 1d, or a number of milliseconds. */
const UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** ms; undefined when it is none. */
export function durationMs(given: unknown): number | undefined {
  if (typeof given === 'number') return Number.isInteger(given) && given >= 0 ? given : undefined;
  if (typeof given !== 'string') return undefined;
  const parts = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h|d)$/.exec(given);
  if (parts === null) return undefined;
  return Math.round(Number(parts[1]) * (UNITS[parts[2] as string] as number));
}
