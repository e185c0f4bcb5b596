/** The rules that come with Tidemark [S5] [V10]. A rules file changes them by name, or adds others. */
import { type AlertRule, hours, minutes, seconds } from '../model/index.ts';

/** What can be measured, its unit, and how its values come about. */
export const measures = {
  'cpu.usage': { unit: '%', kind: 'threshold', about: 'mean CPU usage of a host over 5 minutes' },
  'memory.used': {
    unit: '%',
    kind: 'threshold',
    about: 'mean memory in use of a host over 5 minutes',
  },
  'disk.used': {
    unit: '%',
    kind: 'threshold',
    about: 'mean of what is in use of a host’s mount over 5 minutes',
  },
  'host.silence': {
    unit: 's',
    kind: 'absent',
    about: 'time without a reading of a host, while other hosts report',
  },
  'fleet.anomaly': {
    unit: '',
    kind: 'threshold',
    about: 'score of a five-minute mean that is unlike what came before it, 0.5 to 1',
  },
  'vote.latency': {
    unit: 'slots',
    kind: 'threshold',
    about: 'mean latency of a validator’s votes over 5 minutes',
  },
  'validator.silence': {
    unit: 's',
    kind: 'absent',
    about: 'time without a vote of a validator, while its network goes on',
  },
  'sink.failing': {
    unit: 's',
    kind: 'threshold',
    about: 'how long a sink has been failing',
  },
  'sink.rejected': {
    unit: 'points',
    kind: 'threshold',
    about: 'points that a sink has refused for good since the last look',
  },
  'engine.disk': {
    unit: '%',
    kind: 'threshold',
    about: 'what is in use of the data directory’s disk',
  },
  'engine.lag': { unit: 'records', kind: 'threshold', about: 'records that a topology is behind' },
  'query.slow': {
    unit: 's',
    kind: 'threshold',
    about: 'slowest answer of the HTTP service since the last look',
  },
} as const satisfies Record<
  string,
  { readonly unit: string; readonly kind: AlertRule['kind']; readonly about: string }
>;

export type Measure = keyof typeof measures;

const rule = (
  name: string,
  measure: Measure,
  given: Partial<Omit<AlertRule, 'name' | 'measure' | 'kind' | 'unit'>>,
): AlertRule => ({
  name,
  measure,
  kind: measures[measure].kind,
  unit: measures[measure].unit,
  enabled: true,
  direction: 'above',
  warning: null,
  critical: null,
  hysteresis: 0,
  forMs: 0,
  staleMs: hours(1),
  overrides: [],
  ...given,
});

/** A rule of a measure before a file says more. */
export const blankRule = (name: string, measure: Measure): AlertRule => rule(name, measure, {});

export const defaultRules: readonly AlertRule[] = [
  rule('cpu', 'cpu.usage', { warning: 70, critical: 90, hysteresis: 5, forMs: minutes(1) }),
  rule('memory', 'memory.used', { warning: 85, hysteresis: 3, forMs: minutes(1) }),
  rule('disk', 'disk.used', { warning: 80, hysteresis: 1, forMs: minutes(1) }),
  rule('host-silent', 'host.silence', { critical: 180 }),
  // A measure whose values come only while something is odd: it is over when none has come for a while.
  // Over 210 simulated days of 6 hosts the highest false score was 0.57, of 109 bursts 108 had 0.61 or more.
  rule('anomaly', 'fleet.anomaly', { warning: 0.6, hysteresis: 0.05, staleMs: minutes(15) }),
  rule('vote-latency', 'vote.latency', { warning: 5, hysteresis: 0.5 }),
  rule('validator-offline', 'validator.silence', { critical: 120 }),
  rule('sink-failing', 'sink.failing', { critical: 30, staleMs: minutes(10) }),
  rule('sink-rejects', 'sink.rejected', { warning: 0, staleMs: minutes(10) }),
  rule('engine-disk', 'engine.disk', { warning: 85, critical: 95, hysteresis: 1 }),
  rule('engine-lag', 'engine.lag', {
    warning: 100_000,
    hysteresis: 50_000,
    forMs: minutes(2),
    staleMs: minutes(10),
  }),
  rule('slow-queries', 'query.slow', {
    warning: 2,
    hysteresis: 0.5,
    forMs: seconds(20),
    staleMs: minutes(10),
  }),
];
