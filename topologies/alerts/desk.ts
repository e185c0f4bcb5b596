/**
 * Where rules meet what was seen: one desk per task holds the alerts that are not resolved (state, carried by
 * epochs), takes values and says which transitions follow.
 */
import { createHash } from 'node:crypto';
import {
  type AlertRule,
  type AlertTransition,
  matches,
  thresholdsFor,
} from '../../src/model/index.ts';
import { jsonValues, Table, type TaskContext } from '../../src/stream/index.ts';
import { judge, resolution, type Standing } from './judge.ts';
import type { Observation } from './observation.ts';

/** At most so many alerts stand at once; more are counted as skipped, so that a wrong rule can't fill memory. */
export const STANDING_MAX = 100_000;

type Value = Omit<Observation, 'measure'>;

export class Desk {
  readonly #standing = new Table<Standing>(jsonValues());
  readonly #byMeasure: ReadonlyMap<string, readonly AlertRule[]>;
  readonly #rules: ReadonlyMap<string, AlertRule>;
  readonly #task: TaskContext;

  constructor(task: TaskContext, rules: readonly AlertRule[]) {
    this.#task = task;
    this.#rules = new Map(rules.map((rule) => [rule.name, rule]));
    this.#byMeasure = Map.groupBy(rules, ({ measure }) => measure);
    task.store(this.#standing, '/standing');
    task.expose('alerts standing', this);
  }

  get size(): number {
    return this.#standing.size;
  }

  /** Transitions that follow from a value of a measure, rule by rule. */
  take(measure: string, value: Value): readonly AlertTransition[] {
    const transitions: AlertTransition[] = [];
    for (const rule of this.#byMeasure.get(measure) ?? []) {
      const place = `${rule.name}\u001f${value.key}`;
      const before = this.#standing.get(place);
      const labels = { ...value.labels, subject: value.subject };
      const thresholds = thresholdsFor(rule, labels, matches);
      if (thresholds === undefined) {
        if (before !== undefined) {
          this.#standing.delete(place);
          transitions.push(resolution(before, value.at, `${before.subject}: no longer judged`));
        }
        continue;
      }
      if (before === undefined && this.#standing.size >= STANDING_MAX) {
        this.#task.count('skipped', 1);
        continue;
      }
      const id = before?.id ?? alertId(rule.name, value.key);
      const verdict = judge(rule, thresholds, before, { ...value, id });
      if (verdict.standing === undefined) this.#standing.delete(place);
      else if (verdict.standing !== before) this.#standing.set(place, verdict.standing);
      transitions.push(...verdict.transitions);
    }
    return transitions;
  }

  /** Whether any rule's alert about this subject stands. */
  stands(measure: string, key: string): boolean {
    return (this.#byMeasure.get(measure) ?? []).some(
      ({ name }) => this.#standing.get(`${name}\u001f${key}`) !== undefined,
    );
  }

  /** Event time has come to `time` for these measures: ends alerts of which nothing more is known, or whose rule is gone. */
  expire(measures: readonly string[], time: number): readonly AlertTransition[] {
    const transitions: AlertTransition[] = [];
    for (const [place, standing] of [...this.#standing.entries()]) {
      if (!measures.includes(standing.measure)) continue;
      const rule = this.#rules.get(standing.rule);
      const isGone = rule === undefined || rule.measure !== standing.measure;
      if (!isGone && time - standing.seenAt < rule.staleMs) continue;
      this.#standing.delete(place);
      const why = isGone ? 'the rule is gone' : 'no new value has come for long';
      const at = Math.max(time, standing.at);
      transitions.push(resolution(standing, at, `${standing.subject}: ${why}`));
    }
    return transitions;
  }

  /** Ends what stands about a subject. */
  forget(measure: string, key: string, at: number): readonly AlertTransition[] {
    return (this.#byMeasure.get(measure) ?? []).flatMap(({ name }) => {
      const place = `${name}\u001f${key}`;
      const standing = this.#standing.get(place);
      if (standing === undefined) return [];
      this.#standing.delete(place);
      return [resolution(standing, at, `${standing.subject}: gone for long, no longer watched`)];
    });
  }
}

/** The same rule and subject have the same id for ever. */
export const alertId = (rule: string, key: string): string =>
  createHash('sha256').update(`${rule}\u001f${key}`).digest('hex').slice(0, 16);
