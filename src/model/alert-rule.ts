/** A rule that alerts are judged by, as a plain value; what it may say is checked in `src/alerts/rules.ts`. */
import type { AlertMatchers } from './alert.ts';

export interface AlertOverride {
  /** Labels of the subject that all must fit. */
  readonly match: AlertMatchers;
  readonly enabled: boolean;
  readonly warning: number | null;
  readonly critical: number | null;
}

export interface AlertRule {
  readonly name: string;
  /**
   * `threshold`: the measure is past a threshold. `absent`: the subject gave no sign of life for more than
   * `warning` or `critical` seconds, while others of its kind did.
   */
  readonly kind: 'threshold' | 'absent';
  readonly enabled: boolean;
  readonly measure: string;
  readonly unit: string;
  readonly direction: 'above' | 'below';
  /** null: no such severity; at least one is given. */
  readonly warning: number | null;
  readonly critical: number | null;
  /** How far back over the threshold the value must come before the alert resolves or steps down. */
  readonly hysteresis: number;
  /** How long the condition must hold before the alert fires, ms of event time. */
  readonly forMs: number;
  /** Without a new value for so long the alert resolves, ms of event time: nothing is known any more. */
  readonly staleMs: number;
  /** The first that fits a subject counts. */
  readonly overrides: readonly AlertOverride[];
}

/** The thresholds that count for a subject; undefined when the rule does not judge it. */
export function thresholdsFor(
  rule: AlertRule,
  labels: Readonly<Record<string, string>>,
  fits: (matchers: AlertMatchers, labels: Readonly<Record<string, string>>) => boolean,
): Pick<AlertRule, 'warning' | 'critical'> | undefined {
  const own = rule.overrides.find(({ match }) => fits(match, labels));
  if (!(own?.enabled ?? rule.enabled)) return undefined;
  return own ?? rule;
}
