/** Keyed state that survives restart: stores hand changes to the epoch and get them back after it. */
export * from './store.ts';
export * from './table.ts';
