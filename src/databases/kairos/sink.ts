/** A KairosDB store as a sink: connect, write a batch, close. Batching, retry and cursors are delivery's. */
import type { Sink } from '../../delivery/index.ts';
import type { DataPoint } from '../../model/index.ts';
import type { KairosStore } from './store.ts';

export interface KairosSinkOptions {
  /** For metrics, logs and cursors, e.g. `kairos.vote_latency`. Default `kairos`. */
  readonly name?: string;
}

/** Closing the sink leaves the store open: it may serve other sinks and queries. */
export function kairosSink(store: KairosStore, options: KairosSinkOptions = {}): Sink<DataPoint> {
  return {
    name: options.name ?? 'kairos',
    connect: (signal) => store.connect(signal),
    write: (points, signal) => store.write(points, signal),
    check: (signal) => store.check(signal),
    close: async () => {},
  };
}
