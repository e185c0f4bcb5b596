/** Lets others have their turn: a query over data at hand would otherwise hold the event loop until it is done. */
import { setImmediate as nextTurn } from 'node:timers/promises';

/** About 10 ms of work. */
const POINTS_AT_ONCE = 5_000;

export class Turns {
  #points = 0;

  /** To be called for every point, and waited for when it gives something. */
  point(): Promise<void> | undefined {
    return this.points(1);
  }

  /** For so many. */
  points(count: number): Promise<void> | undefined {
    this.#points += count;
    if (this.#points < POINTS_AT_ONCE) return undefined;
    this.#points = 0;
    return nextTurn();
  }
}
