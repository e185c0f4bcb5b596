/** A rule in one sentence, for people. */
import type { AlertRule } from '../model/index.ts';
import { type Measure, measures } from './default-rules.ts';

export function describeRule(rule: AlertRule): string {
  const { about } = measures[rule.measure as Measure];
  const unit = rule.unit === '' ? '' : ` ${rule.unit}`;
  const side = rule.kind === 'absent' ? 'longer than' : rule.direction;
  const thresholds = [
    rule.warning === null ? [] : [`${side} ${rule.warning}${unit}`],
    rule.critical === null
      ? []
      : [
          rule.warning === null
            ? `${side} ${rule.critical}${unit}`
            : `critical ${side} ${rule.critical}${unit}`,
        ],
  ]
    .flat()
    .join(', ');
  const held = rule.forMs === 0 ? '' : `, for at least ${rule.forMs / 1_000} s`;
  return `${about}: ${thresholds}${held}`;
}
