/** The log beneath everything: its contract, and the two that keep it. */
export * from './contract.ts';
export * from './partitioner.ts';
