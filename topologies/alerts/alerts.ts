/**
 * What is seen, judged by rules; every transition of an alert is one record of the topic `alerts`.
 *
 *   system.metrics ─┬─► readings ─► 5m means, each minute ───► (one partition) ─► evaluate ─► alerts
 *                   └─► signs of life ───────────────────────► (one partition) ─► evaluate ─► alerts
 *   fleet.anomalies ──► scores ──────────────────────────────► (one partition) ─► evaluate ─► alerts
 *   votes ────────────► signs of life ───────────────────────► (one partition) ─► evaluate ─► alerts
 *   votes.rollup.5m ──► latencies ───────────────────────────► (one partition) ─► evaluate ─► alerts
 *   tidemark.health ──► values ──────────────────────────────► (one partition) ─► evaluate ─► alerts
 *
 * One topology for each clock: a source that is quiet must not hold back another's time, nor hide that it is.
 * Who is judged silent needs what all partitions have seen, so judging stands behind one partition.
 */
import { type AlertRule, minutes, type Rollup, seconds } from '../../src/model/index.ts';
import {
  flatMap,
  gatherCodec,
  hopping,
  jsonCodec,
  map,
  mean,
  type Stream,
  sendRows,
  type Topology,
  topology,
  window,
} from '../../src/stream/index.ts';
import { systemMetricCodec } from '../fleet-metrics/system-metric.ts';
import { rollupCodec } from '../vote-latency/rollup-record.ts';
import { voteCodec } from '../vote-latency/vote.ts';
import { type EvaluateOptions, evaluate, type SharedDesk } from './evaluate.ts';
import { healthCodec, healthObserved } from './health-record.ts';
import type { Observation, Seen } from './observation.ts';
import { anomalyObserved, meanObserved, readings } from './readings.ts';
import { signs } from './signs.ts';

const MEAN_MS = minutes(5);
const HOP_MS = minutes(1);
/** Readings of one host come in order but for what crossed on the way. */
const GRACE_MS = seconds(10);
/** A host reports each 10 s to each minute; a validator votes more than once a second. */
const HOST_BUCKET_MS = minutes(1);
const VOTE_BUCKET_MS = seconds(10);
const PROGRESS_MS = seconds(10);

export interface AlertSources {
  readonly metrics: string;
  readonly anomalies: string;
  readonly votes: string;
  readonly rollups: string;
  readonly health: string;
  readonly alerts: string;
}

export const alertSources: AlertSources = {
  metrics: 'system.metrics',
  anomalies: 'fleet.anomalies',
  votes: 'votes',
  rollups: 'votes.rollup.5m',
  health: 'tidemark.health',
  alerts: 'alerts',
};

/** Two sources of one topic: what can't be read goes to the dead letters by the topology that is made for it. */
const passOver = { rejects: 'skip' } as const;

/** The topologies that judge by these rules, between these topics. `prefix` begins their names. */
export function alertTopologies(
  rules: readonly AlertRule[],
  names: AlertSources = alertSources,
  prefix = 'alerts',
): readonly Topology[] {
  return [fleet(), votes(), latencies(), health()];

  function fleet(): Topology {
    return topology(`${prefix}-fleet`, ({ source }) => {
      const metrics = source(names.metrics, systemMetricCodec, passOver);
      const means = metrics
        .pipe('readings', readings())
        .pipe(
          'five-minute windows',
          window({
            by: ['measure', 'key'],
            carry: ['subject', 'labels', 'since'],
            windows: hopping({ sizeMs: MEAN_MS, advanceMs: HOP_MS, graceMs: GRACE_MS }),
            aggregate: mean('value'),
          }),
        )
        .pipe(
          'five-minute means',
          flatMap((row) => meanObserved(row, HOP_MS)),
        );
      // An anomaly is over when the fleet's time goes on without another: means and scores share a desk.
      const desk: SharedDesk = { rules };
      const measures = ['cpu.usage', 'memory.used', 'disk.used', 'fleet.anomaly'];
      judged(means, 'means', { measures, desk });
      const scores = source(names.anomalies, anomalyCodec, passOver).pipe(
        'score',
        map(anomalyObserved),
      );
      judged(scores, 'scores', { measures: [], desk });
      const alive = metrics.pipe(
        'signs',
        signs({
          measure: 'host.silence',
          bucketMs: HOST_BUCKET_MS,
          by: 'host',
          subject: (host) => host,
          labels: (host) => ({ host }),
        }),
      );
      const silence = { measure: 'host.silence', bucketMs: HOST_BUCKET_MS };
      judged(alive, 'hosts', { measures: [], silence });
    });
  }

  function votes(): Topology {
    return topology(`${prefix}-votes`, ({ source }) => {
      const alive = source(names.votes, voteCodec, passOver).pipe(
        'signs',
        signs({
          measure: 'validator.silence',
          bucketMs: VOTE_BUCKET_MS,
          by: 'validator',
          scope: 'network',
          subject: (validator, network) => `validator ${validator} (${network})`,
          labels: (validator, network) => ({ validator, network }),
        }),
      );
      const silence = { measure: 'validator.silence', bucketMs: VOTE_BUCKET_MS };
      judged(alive, 'validators', { measures: [], silence });
    });
  }

  function latencies(): Topology {
    return topology(`${prefix}-latency`, ({ source }) => {
      const values = source(names.rollups, rollupCodec, passOver).pipe(
        'latency',
        flatMap(latencyObserved),
      );
      judged(values, 'latencies', { measures: ['vote.latency'] });
    });
  }

  function health(): Topology {
    return topology(`${prefix}-health`, ({ source }) => {
      const values = source(names.health, healthCodec, passOver).pipe(
        'values',
        flatMap(healthObserved),
      );
      judged(values, 'health', {
        measures: ['sink.failing', 'sink.rejected', 'engine.disk', 'engine.lag', 'query.slow'],
      });
    });
  }

  function judged<S extends Seen>(
    seen: Stream<S>,
    name: string,
    options: Omit<EvaluateOptions, 'rules'>,
  ): void {
    seen
      .acrossPartitions(
        name,
        (topic) => sendRows(topic, { everyMs: PROGRESS_MS, graceMs: GRACE_MS }),
        gatherCodec<Seen>(),
      )
      .pipe(`evaluate ${name}`, evaluate({ rules, ...options }))
      .to(names.alerts, {
        key: ({ id }) => id,
        value: (transition) => JSON.stringify(transition),
        timestamp: ({ at }) => at,
      });
  }
}

const anomalyCodec = jsonCodec<Parameters<typeof anomalyObserved>[0]>({ name: 'anomaly' });

function latencyObserved(rollup: Rollup): readonly Observation[] {
  if (rollup.scope !== 'validator') return [];
  const { id, network, mean: value, window } = rollup;
  return [
    {
      measure: 'vote.latency',
      key: `${id}\u001f${network}`,
      subject: `validator ${id} (${network})`,
      labels: { validator: id, network },
      value,
      at: window.end,
    },
  ];
}
