/**
 * Counters, gauges and histograms. prom-client stays behind this door; a room's `telemetry.ts` declares its
 * own with these functions. Declaring the same name twice gives the same metric, so rooms stay independent.
 */
import { Counter, Gauge, Histogram, Registry } from 'prom-client';

export const registry: Registry = new Registry();

type Labels = Readonly<Record<string, string | number>>;

export interface CounterMetric {
  add(labels: Labels, by?: number): void;
}
export interface GaugeMetric {
  set(labels: Labels, value: number): void;
  remove(labels: Labels): void;
}
export interface HistogramMetric {
  observe(labels: Labels, value: number): void;
}

/** A counter; its name ends in `_total`. */
export function counter(
  name: string,
  help: string,
  labelNames: readonly string[] = [],
): CounterMetric {
  const metric =
    (registry.getSingleMetric(name) as Counter | undefined) ??
    new Counter({ name, help, labelNames: [...labelNames], registers: [registry] });
  return { add: (labels, by = 1) => metric.inc(labels as Record<string, string>, by) };
}

/** A gauge; its name ends in its unit. */
export function gauge(name: string, help: string, labelNames: readonly string[] = []): GaugeMetric {
  const metric =
    (registry.getSingleMetric(name) as Gauge | undefined) ??
    new Gauge({ name, help, labelNames: [...labelNames], registers: [registry] });
  return {
    set: (labels, value) => metric.set(labels as Record<string, string>, value),
    remove: (labels) => metric.remove(labels as Record<string, string>),
  };
}

/** A histogram; its name ends in its unit. */
export function histogram(
  name: string,
  help: string,
  labelNames: readonly string[] = [],
  buckets?: readonly number[],
): HistogramMetric {
  const metric =
    (registry.getSingleMetric(name) as Histogram | undefined) ??
    new Histogram({
      name,
      help,
      labelNames: [...labelNames],
      registers: [registry],
      ...(buckets ? { buckets: [...buckets] } : {}),
    });
  return { observe: (labels, value) => metric.observe(labels as Record<string, string>, value) };
}
