/**
 * The usual step behind a window: a row of your own from each closed window. Rows that only report late or repeated
 * records of a window long closed have no state, and end here.
 */
import type { Windowed } from '../aggregate.ts';
import type { Operator } from '../operator.ts';
import { flatMap } from '../operators/index.ts';

/** A window that has closed with something in it. */
export type Closed<S> = Windowed<S> & { readonly state: S };

/** `closed(({ key: [sensor], start, state }) => ({ sensor, start, mean: state.mean }))` */
export const closed = <S, R>(result: (window: Closed<S>) => R): Operator<Windowed<S>, R> =>
  flatMap((row) => (row.state === undefined ? [] : [result(row as Closed<S>)]), 'closed');
