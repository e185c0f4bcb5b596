/** The topologies that come with Tidemark. */
export * from './alerts/alerts.ts';
export * from './alerts/health-record.ts';
export * from './alerts/series.ts';
export * from './fleet-metrics/annotation.ts';
export * from './fleet-metrics/field-summaries.ts';
export * from './fleet-metrics/fleet-metrics.ts';
export * from './fleet-metrics/fleet-records.ts';
export * from './fleet-metrics/fleet-series.ts';
export * from './fleet-metrics/system-metric.ts';
export * from './vote-latency/latency-summary.ts';
export * from './vote-latency/rollup-record.ts';
export * from './vote-latency/series.ts';
export * from './vote-latency/vote.ts';
export * from './vote-latency/vote-latency.ts';
