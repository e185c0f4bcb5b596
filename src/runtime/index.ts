/** What every room may assume: a clock, logs, metrics, configuration. */
export * from './clock.ts';
export * from './config.ts';
export * from './incarnation.ts';
export * from './log.ts';
export * from './make-directory.ts';
export * from './map-bytes.ts';
export * from './metrics.ts';
export * from './nearest.ts';
export * from './secret.ts';
export * from './setting.ts';
export * from './settings.ts';
export * from './turns.ts';
export * from './type.ts';
