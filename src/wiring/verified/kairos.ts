/** Metrics of KairosDB's store, read back for `verify`. */
import { type KairosStore, reasonAgainstPoint } from '../../databases/kairos/index.ts';
import type { PointForm } from '../../jobs/index.ts';
import type { DataPoint } from '../../model/index.ts';
import { kairosWriteOptions } from '../feeds.ts';
import { pagesOfAll } from './pages-of-all.ts';
import { quote, type Side, tagsText, valueText } from './side.ts';

/** Of a fleet many metrics have few points an hour: what counts is how many answers are waited for together. */
const METRICS_AT_ONCE = 16;

export function kairosSide(store: KairosStore): Side<DataPoint> {
  return {
    points: kairosForm,
    async *stored({ fromMs, toMs }, names, signal) {
      await store.connect(signal);
      const readings = [...names].map((metric) => () => store.readSeries({ metric, fromMs, toMs }));
      for await (const points of pagesOfAll(readings, METRICS_AT_ONCE)) {
        signal.throwIfAborted();
        yield points;
      }
    },
    retention: async () => ({ keeps: () => true }),
  };
}

export const kairosForm: PointForm<DataPoint> = {
  name: ({ metric }) => metric,
  timeMs: ({ timestampMs }) => timestampMs,
  // Points of several types stand beside each other.
  identity: ({ metric, tags, timestampMs, value }) =>
    `${quote(metric)}${tagsText(tags)} ${timestampMs} ${typeof value === 'bigint' ? 'long' : typeof value === 'number' ? 'double' : 'string'}`,
  value: ({ value }) => valueText(value),
  merge: (_, newer) => newer,
  isRefused: (point) =>
    reasonAgainstPoint(point, kairosWriteOptions.nonFinite ?? 'reject') !== undefined,
};
