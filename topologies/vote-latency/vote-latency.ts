/**
 * Votes in; latency rollups out, per validator and network-wide, over five minutes, an hour and a day [V5].
 *
 *   votes ─► dedup ─► 5m windows ─┬─► 1h ─► 1d      per validator ──► average ─► votes.rollup.5m/1h/1d
 *     │                 │         └─► networks 5m ─► 1h ─► 1d ─► merge partitions ─► average ─┘
 *     │                 └─► votes.late
 *     └─► votes.dead-letter
 *
 * Hours, days and networks are merged from five-minute digests, so no vote is looked at twice.
 */
import { days, hours, minutes, type Rollup, seconds } from '../../src/model/index.ts';
import {
  dedup,
  latest,
  map,
  mergeParts,
  movingAverage,
  partCodec,
  rollup,
  type Stream,
  sendParts,
  type Topology,
  topology,
  tumbling,
  type Windowed,
  window,
} from '../../src/stream/index.ts';
import { type LatencySummary, latencySummary } from './latency-summary.ts';
import { rollupKey, rollupOf, type Scope } from './rollup-record.ts';
import { voteCodec } from './vote.ts';

export const STEPS = ['5m', '1h', '1d'] as const;
export type StepName = (typeof STEPS)[number];

const GRACE_MS = seconds(30);
const sizeMs: Readonly<Record<StepName, number>> = {
  '5m': minutes(5),
  '1h': hours(1),
  '1d': days(1),
};

export interface VoteLatencyTopics {
  readonly votes: string;
  readonly late: string;
  rollups(step: StepName, scope: Scope): string;
}

export const voteLatencyTopics: VoteLatencyTopics = {
  votes: 'votes',
  late: 'votes.late',
  rollups: (step) => `votes.rollup.${step}`,
};

/** The same drawing between other topics. */
export function voteLatencyBetween(names: VoteLatencyTopics, name = 'vote-latency'): Topology {
  return topology(name, ({ source }) => {
    const fiveMinutes = source(names.votes, voteCodec)
      .pipe('dedup', dedup({ by: ['voteAccount', 'votedSlot'], withinMs: minutes(10) }))
      .pipe(
        'validators 5m',
        window({
          by: ['validator', 'network'],
          carry: ['voteAccount'],
          windows: tumbling({ sizeMs: sizeMs['5m'], graceMs: GRACE_MS, late: names.late }),
          aggregate: latencySummary,
        }),
      );

    const validators = wider(fiveMinutes, 'validators');
    for (const step of STEPS) emit(validators[step], 'validator', step);

    const networks = wider(
      fiveMinutes.pipe('networks 5m', rollup({ ...widths('5m'), by: [1] })),
      'networks',
    );
    for (const step of STEPS) {
      const { windows } = widths(step);
      const whole = networks[step]
        .acrossPartitions(
          `networks-${step}`,
          (topic) => sendParts(topic, windows, latencySummary),
          partCodec,
        )
        .pipe(`merge networks ${step}`, mergeParts(windows, latencySummary));
      emit(whole, 'network', step);
    }
  });

  /** Hours from five minutes, days from hours. */
  function wider(
    fiveMinutes: Stream<Windowed<LatencySummary>>,
    who: string,
  ): Record<StepName, Stream<Windowed<LatencySummary>>> {
    const hour = fiveMinutes.pipe(`${who} 1h`, rollup(widths('1h')));
    return { '5m': fiveMinutes, '1h': hour, '1d': hour.pipe(`${who} 1d`, rollup(widths('1d'))) };
  }

  function emit(closed: Stream<Windowed<LatencySummary>>, scope: Scope, step: StepName): void {
    const rollups = closed
      .pipe(`average ${scope} ${step}`, movingAverage({ over: 12, of: ({ latency }) => latency }))
      .pipe(
        `summary ${scope} ${step}`,
        map((row) => lastClosedOf(rollupOf(scope, names.votes, row), row)),
      );
    const live = step === '5m' ? rollups.pipe(`latest ${scope}`, latest(newest(scope))) : rollups;
    live.to(names.rollups(step, scope), {
      key: ({ rollup }) => rollupKey(rollup),
      value: ({ rollup }) => JSON.stringify(rollup),
      timestamp: ({ rollup }) => rollup.window.start,
    });
  }
}

/** What live stats keep of a closed window. */
export interface LastClosed {
  readonly rollup: Rollup;
  /** Highest slot voted for in it. */
  readonly lastSlot: number;
}

const lastClosedOf = (rollup: Rollup, row: Windowed<LatencySummary>): LastClosed => ({
  rollup,
  lastSlot: row.state?.lastSlot ?? -1,
});

/** The last closed window of each key, for live stats. */
const newest = (scope: Scope) => ({
  as: `latest ${scope}`,
  key: ({ rollup }: LastClosed) => rollupKey(rollup),
  order: ({ rollup }: LastClosed) => rollup.window.start,
  keep: ({ rollup, lastSlot }: LastClosed): LastClosed => ({
    rollup: { ...rollup, digest: '' },
    lastSlot,
  }),
});

const widths = (step: StepName) => ({
  windows: tumbling({ sizeMs: sizeMs[step], graceMs: GRACE_MS }),
  aggregate: latencySummary,
});

export const voteLatency: Topology = voteLatencyBetween(voteLatencyTopics);
