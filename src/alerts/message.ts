/** A message for one channel: alerts that go together, as decided; the record of the topic of messages. */
import type { AlertTransition } from '../model/index.ts';

export interface AlertMessage {
  /** The same when it is sent again: receivers drop a repetition by it. */
  readonly id: string;
  readonly channel: string;
  /** What the alerts have in common: `rule=cpu`. */
  readonly group: string;
  /** When it was decided, ms. */
  readonly at: number;
  readonly firing: readonly (AlertTransition & { readonly repeated: boolean })[];
  readonly resolved: readonly AlertTransition[];
}

const LISTED_MAX = 50;

/** `2 firing, 1 resolved: cpu`. */
export function subjectOf({ firing, resolved, group }: AlertMessage): string {
  const counts = [
    ...(firing.length === 0 ? [] : [`${firing.length} firing`]),
    ...(resolved.length === 0 ? [] : [`${resolved.length} resolved`]),
  ];
  const worst = firing.some(({ severity }) => severity === 'critical') ? 'CRITICAL ' : '';
  return `${worst}${counts.join(', ')}: ${group}`;
}

/** One line an alert, for people. Long lists are cut, and say so. */
export function linesOf({ firing, resolved }: AlertMessage): readonly string[] {
  const lines = [
    ...firing.map(
      ({ severity, summary, repeated, startedAt }) =>
        `${severity.toUpperCase()} ${summary}${repeated ? ` (still, since ${iso(startedAt)})` : ''}`,
    ),
    ...resolved.map(({ summary, startedAt }) => `RESOLVED ${summary} (since ${iso(startedAt)})`),
  ];
  if (lines.length <= LISTED_MAX) return lines;
  return [...lines.slice(0, LISTED_MAX), `… and ${lines.length - LISTED_MAX} more`];
}

const iso = (ms: number): string => {
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? String(ms) : date.toISOString();
};
