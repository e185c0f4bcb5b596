/** Plain values shared by every room: errors, durations, points, rollups. No I/O, no imports. */
export * from './alert.ts';
export * from './alert-rule.ts';
export * from './duration.ts';
export * from './errors.ts';
export * from './fleet.ts';
export * from './json.ts';
export * from './point.ts';
export * from './point-time.ts';
export * from './rollup.ts';
