/** From a closed window to the record of `votes.rollup.*`, and back for whoever reads it. */
import type { Rollup } from '../../src/model/index.ts';
import { type Codec, rowDecoder, type WithMovingAverage } from '../../src/stream/index.ts';
import type { LatencySummary } from './latency-summary.ts';

export type Scope = 'validator' | 'network';

/** The rollup of a closed window. A validator's key is [validator, network], a network's [network]. */
export function rollupOf(
  scope: Scope,
  topic: string,
  row: WithMovingAverage<LatencySummary>,
): Rollup {
  const { latency } = row.state as LatencySummary;
  const [p50, p95, p99] = latency.quantiles([0.5, 0.95, 0.99]) as [number, number, number];
  const { voteAccount } = row.carried;
  const { parts } = row;
  return {
    window: { start: row.start, end: row.end },
    scope,
    id: row.key[0] as string,
    ...(scope === 'validator' && voteAccount !== undefined ? { voteAccount } : {}),
    network: row.key.at(-1) as string,
    count: latency.count,
    sum: latency.sum,
    min: latency.min,
    max: latency.max,
    mean: latency.mean,
    stddev: latency.stddev,
    p50,
    p95,
    p99,
    movingAverage: row.movingAverage,
    digest: latency.digest.toBytes().toString('base64'),
    revision: row.revision,
    lineage: {
      topic,
      partition: row.partition,
      firstOffset: row.firstOffset,
      lastOffset: row.lastOffset,
      late: row.late,
      duplicates: row.duplicates,
      ...(parts === undefined ? {} : { offsets: parts }),
    },
  };
}

/** Key of a rollup record: `validator:<id>` or `network:<name>`. */
export const rollupKey = (rollup: Rollup): string => `${rollup.scope}:${rollup.id}`;

/** Reads `votes.rollup.*`; event time is the window's start. */
export const rollupCodec: Codec<Rollup> = {
  name: 'rollup',
  createDecoder: () =>
    rowDecoder((text) => {
      const row = JSON.parse(text) as Rollup;
      return { row, timestamp: row.window.start };
    }),
  encode: (row) => Buffer.from(JSON.stringify(row)),
};
