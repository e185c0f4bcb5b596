/** What every room may assume: a clock, logs, metrics, configuration. */
export * from './clock.ts';
export * from './log.ts';
export * from './metrics.ts';
