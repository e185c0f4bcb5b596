/** The step that judges: gathered values and signs of life in, transitions of alerts out. */
import { type AlertRule, type AlertTransition, days } from '../../src/model/index.ts';
import {
  END_OF_TIME,
  Frontier,
  forEachRow,
  type Gathered,
  madeFrom,
  type Operator,
  operator,
} from '../../src/stream/index.ts';
import { Desk } from './desk.ts';
import { isSign, type Seen } from './observation.ts';
import { SilenceWatch } from './silence.ts';

/** A desk that several steps of one drawing sit at: the first that is built makes it. */
export interface SharedDesk {
  readonly rules: readonly AlertRule[];
  desk?: Desk;
}

export interface EvaluateOptions {
  readonly rules: readonly AlertRule[];
  /** Whose clock this stream is: alerts of these measures end when event time goes on without a new value. */
  readonly measures: readonly string[];
  /** Default: one of its own, for the rules of `measures` and of the silence. */
  readonly desk?: SharedDesk;
  /** The measure of silences, and the length of a bucket. */
  readonly silence?: { readonly measure: string; readonly bucketMs: number };
}

/** After a day without a sign of life a subject is gone, not silent. */
const FORGET_MS = days(1);

/** Transitions of the rules over `measures`, in the order of what brings them about. */
export function evaluate(options: EvaluateOptions): Operator<Gathered<Seen>, AlertTransition> {
  const { measures, silence } = options;
  const own = [...measures, ...(silence === undefined ? [] : [silence.measure])];
  const rules = options.rules.filter(({ measure }) => own.includes(measure));
  const detail = { rules: rules.filter(({ enabled }) => enabled).map(({ name }) => name) };
  return operator<Gathered<Seen>, AlertTransition>({ kind: 'evaluate', detail }, (task) => {
    const desk = options.desk?.desk ?? new Desk(task, options.desk?.rules ?? rules);
    if (options.desk !== undefined) options.desk.desk = desk;
    const frontier = new Frontier(task);
    const watch =
      silence === undefined
        ? undefined
        : new SilenceWatch(task, { bucketMs: silence.bucketMs, forgetMs: FORGET_MS });
    let expiredAt = Number.NEGATIVE_INFINITY;

    const goOn = (time: number): readonly AlertTransition[] => {
      const transitions: AlertTransition[] = [];
      if (silence !== undefined) {
        const { measure } = silence;
        watch?.passed(
          time,
          ({ key, subject, labels, silenceMs, at }) => {
            if (silenceMs === 0 && !desk.stands(measure, key)) return;
            const value = silenceMs / 1_000;
            transitions.push(...desk.take(measure, { key, subject, labels, value, at }));
          },
          (key, at) => transitions.push(...desk.forget(measure, key, at)),
        );
      }
      // At the end of a recording nothing has become unknown.
      if (time > expiredAt && time < END_OF_TIME - days(1)) {
        expiredAt = time;
        transitions.push(...desk.expire(measures, time));
      }
      return transitions;
    };

    return {
      next: (batch, emit) => {
        const rows: AlertTransition[] = [];
        const from: number[] = [];
        forEachRow(batch, (i) => {
          const gathered = batch.row(i);
          const given =
            gathered.kind === 'progress' ? goOn(frontier.take(gathered)) : seen(gathered.row);
          for (const transition of given) {
            rows.push(transition);
            from.push(i);
          }
        });
        emit(madeFrom(batch, rows, from));
      },
    };

    function seen(row: Seen): readonly AlertTransition[] {
      if (isSign(row)) {
        watch?.take(row);
        return [];
      }
      return desk.take(row.measure, row);
    }
  });
}
