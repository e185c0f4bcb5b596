/** Alerts as plain values: what the topic `alerts` carries, and what operators say about them. */

export type AlertState = 'pending' | 'firing' | 'resolved';
export type AlertSeverity = 'warning' | 'critical';

/**
 * One transition of one alert: the record of the topic `alerts`, key = `id`. Times are event time, ms. The last
 * record of an id is how the alert stands.
 */
export interface AlertTransition {
  /** Names the pair of rule and subject; the same for every episode. */
  readonly id: string;
  readonly rule: string;
  readonly severity: AlertSeverity;
  readonly state: AlertState;
  /** What it is about, for people: `web-1`, `web-1 /var`, `validator 7Np4…`. */
  readonly subject: string;
  /** For matchers and overrides: host, mount, validator, network, sink, … */
  readonly labels: Readonly<Record<string, string>>;
  /** One sentence with the value and the threshold. */
  readonly summary: string;
  readonly value: number | null;
  readonly threshold: number | null;
  /** When the condition first held in this episode; names the episode. */
  readonly startedAt: number;
  /** null: it never held for long enough. */
  readonly firedAt: number | null;
  readonly resolvedAt: number | null;
  /** Of this transition. */
  readonly at: number;
  /** Counts the transitions of an episode from 1; `id`, `startedAt` and `sequence` name a transition for ever. */
  readonly sequence: number;
}

/** Labels that all must fit; `*` in a value stands for any run of characters. */
export type AlertMatchers = Readonly<Record<string, string>>;

export interface Acknowledgement {
  readonly by: string | null;
  readonly comment: string | null;
  /** ms, wall clock. */
  readonly at: number;
}

/** Keeps notifications of alerts that fit from being sent in [startsAt, endsAt), ms of wall clock. */
export interface Silence {
  readonly id: string;
  readonly matchers: AlertMatchers;
  readonly startsAt: number;
  readonly endsAt: number;
  readonly comment: string | null;
  readonly createdBy: string | null;
  readonly createdAt: number;
}

/** What matchers see: the labels, and `rule`, `severity`, `subject`, `id`. */
export const alertLabels = (alert: AlertTransition): Readonly<Record<string, string>> => ({
  ...alert.labels,
  rule: alert.rule,
  severity: alert.severity,
  subject: alert.subject,
  id: alert.id,
});

/** Whether every matcher fits. No matcher fits everything; callers refuse to make such a silence. */
export function matches(
  matchers: AlertMatchers,
  labels: Readonly<Record<string, string>>,
): boolean {
  return Object.entries(matchers).every(([label, pattern]) =>
    fits(pattern, Object.hasOwn(labels, label) ? (labels[label] as string) : undefined),
  );
}

/** Linear in both, whatever the pattern: no expression is built from it. */
function fits(pattern: string, text: string | undefined): boolean {
  if (text === undefined) return false;
  const parts = pattern.split('*');
  const [first, last] = [parts[0] as string, parts.at(-1) as string];
  if (parts.length === 1) return text === pattern;
  if (!text.startsWith(first) || !text.endsWith(last)) return false;
  let at = first.length;
  for (const part of parts.slice(1, -1)) {
    const found = text.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return at <= text.length - last.length;
}
