/**
 * The life of one alert, as a pure function: a rule's thresholds, how the alert stands and a new value give how
 * it stands now and the transitions on the way. pending → firing → resolved; what never held for long enough
 * goes from pending to resolved, with `firedAt` null.
 */
import type { AlertRule, AlertSeverity, AlertTransition } from '../../src/model/index.ts';

/** An alert that is not resolved. */
export interface Standing extends Omit<AlertTransition, 'state'> {
  readonly state: 'pending' | 'firing';
  readonly measure: string;
  readonly key: string;
  /** Event time of the newest value. */
  readonly seenAt: number;
}

export interface Verdict {
  /** undefined: nothing stands any more. */
  readonly standing: Standing | undefined;
  readonly transitions: readonly AlertTransition[];
}

export interface NewValue {
  readonly id: string;
  readonly key: string;
  readonly subject: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
  readonly at: number;
}

type Thresholds = Pick<AlertRule, 'warning' | 'critical'>;

const NOTHING: Verdict = { standing: undefined, transitions: [] };

/** `thresholds`: those that count for this subject. */
export function judge(
  rule: AlertRule,
  thresholds: Thresholds,
  before: Standing | undefined,
  value: NewValue,
): Verdict {
  // What comes out of order says nothing of now.
  if (before !== undefined && value.at <= before.seenAt) {
    return { standing: before, transitions: [] };
  }
  const severity = severityOf(rule, thresholds, before, value.value);
  if (severity === undefined) {
    if (before === undefined) return NOTHING;
    const why = `${before.subject}: ${shown(rule, value.value)}, back within bounds`;
    return { standing: undefined, transitions: [resolution(before, value.at, why, value.value)] };
  }
  const threshold = thresholds[severity] as number;
  const now = {
    severity,
    value: value.value,
    threshold,
    labels: value.labels,
    subject: value.subject,
    seenAt: value.at,
    summary: summaryOf(rule, value, threshold),
  };
  if (before === undefined) {
    const begun: Standing = {
      ...now,
      id: value.id,
      rule: rule.name,
      measure: rule.measure,
      key: value.key,
      state: rule.forMs > 0 ? 'pending' : 'firing',
      startedAt: value.at,
      firedAt: rule.forMs > 0 ? null : value.at,
      resolvedAt: null,
      at: value.at,
      sequence: 1,
    };
    return { standing: begun, transitions: [transitionOf(begun)] };
  }
  const fires = before.state === 'pending' && value.at - before.startedAt >= rule.forMs;
  const steps = before.state === 'firing' && severity !== before.severity;
  if (!fires && !steps) {
    // A pending alert takes the severity it would fire with; a firing one that steps says so.
    return { standing: { ...before, ...now }, transitions: [] };
  }
  const moved: Standing = {
    ...before,
    ...now,
    state: 'firing',
    firedAt: before.firedAt ?? value.at,
    at: value.at,
    sequence: before.sequence + 1,
  };
  return { standing: moved, transitions: [transitionOf(moved)] };
}

/** The end of an alert, told by something else than a value. */
export function resolution(
  before: Standing,
  at: number,
  summary: string,
  value: number | null = before.value,
): AlertTransition {
  return {
    ...transitionOf(before),
    state: 'resolved',
    summary,
    value,
    resolvedAt: at,
    at,
    sequence: before.sequence + 1,
  };
}

/** With hysteresis: a firing alert keeps its severity until the value is back over the threshold by that much. */
function severityOf(
  rule: AlertRule,
  { warning, critical }: Thresholds,
  before: Standing | undefined,
  value: number,
): AlertSeverity | undefined {
  const sign = rule.direction === 'above' ? 1 : -1;
  const past = (threshold: number | null, slack: number) =>
    threshold !== null && sign * (value - threshold) > -slack && (slack > 0 || value !== threshold);
  const slackFor = (held: boolean) => (held && before?.state === 'firing' ? rule.hysteresis : 0);
  if (past(critical, slackFor(before?.severity === 'critical'))) return 'critical';
  if (past(warning, slackFor(before !== undefined))) return 'warning';
  return undefined;
}

/** In the order in which people read it. */
const transitionOf = (standing: Standing): AlertTransition => ({
  id: standing.id,
  rule: standing.rule,
  severity: standing.severity,
  state: standing.state,
  subject: standing.subject,
  labels: standing.labels,
  summary: standing.summary,
  value: standing.value,
  threshold: standing.threshold,
  startedAt: standing.startedAt,
  firedAt: standing.firedAt,
  resolvedAt: standing.resolvedAt,
  at: standing.at,
  sequence: standing.sequence,
});

function summaryOf(rule: AlertRule, { subject, value }: NewValue, threshold: number): string {
  if (rule.kind === 'absent') {
    return `${subject}: no sign of life for ${shownNumber(value)} s while others go on (limit ${threshold} s)`;
  }
  return `${subject}: ${shown(rule, value)}, ${rule.direction} ${threshold}${unitOf(rule)}`;
}

const shown = (rule: AlertRule, value: number): string =>
  rule.kind === 'absent'
    ? `silent for ${shownNumber(value)} s`
    : `${rule.measure} is ${shownNumber(value)}${unitOf(rule)}`;

const unitOf = ({ unit }: AlertRule): string =>
  unit === '' ? '' : unit === '%' ? ' %' : ` ${unit}`;

const shownNumber = (value: number): string => String(Math.round(value * 100) / 100);
