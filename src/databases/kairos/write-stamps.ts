/**
 * The stamps of writes: milliseconds, as KairosDB's (spec §7). With microseconds every later overwrite and delete
 * of a Java server would be without effect.
 */
import type { Clock } from '../../runtime/index.ts';

/**
 * Strictly rising, because Cassandra lets the larger value win between two writes of one stamp, and a delete
 * always; so one millisecond may be borrowed from the future per call beyond a thousand a second.
 */
export class WriteStamps {
  readonly #clock: Clock;
  #last = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  nextMs(): number {
    this.#last = Math.max(this.#clock.now(), this.#last + 1);
    return this.#last;
  }
}
