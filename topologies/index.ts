/** The topologies that come with Tidemark. */
export * from './fleet-metrics/system-metric.ts';
export * from './vote-latency/latency-summary.ts';
export * from './vote-latency/rollup-record.ts';
export * from './vote-latency/series.ts';
export * from './vote-latency/vote.ts';
export * from './vote-latency/vote-latency.ts';
