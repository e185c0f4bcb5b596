/** Durations are plain numbers of milliseconds; these say so where they are written. */
export const seconds = (n: number): number => n * 1_000;
export const minutes = (n: number): number => n * 60_000;
export const hours = (n: number): number => n * 3_600_000;
export const days = (n: number): number => n * 86_400_000;

/** Databases count nanoseconds, in bigints. */
export const HOUR_NS = 3_600_000_000_000n;

/** The start of the unit that `ns` lies in, also before 1970. */
export const floorTo = (ns: bigint, unit: bigint): bigint => ns - (((ns % unit) + unit) % unit);
