/** The words of the language: every operator a topology may use. */
export * from './condense.ts';
export * from './dedup.ts';
export * from './detect.ts';
export * from './enrich.ts';
export * from './gather.ts';
export * from './join.ts';
export * from './latest.ts';
export * from './moving-average.ts';
export * from './parts.ts';
export * from './rollup.ts';
export * from './rows.ts';
export * from './session.ts';
export * from './sliding.ts';
export * from './window.ts';
