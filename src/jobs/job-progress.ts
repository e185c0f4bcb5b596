/** How fast a job goes in this process. Work of an attempt that failed is taken back. */
import type { Clock } from '../runtime/index.ts';

/** One unit in the making. */
export interface UnitWork {
  add(done: number): void;
  /** Another attempt begins: what the last one did is void. */
  restart(): void;
  /** It is counted by the job's own record from here on. */
  end(done: number): void;
  drop(): void;
}

/** The rate is that of the last half minute or so: a long outage must not spoil the estimate for ever. */
const WINDOW_MS = 30_000;

export class JobProgress {
  readonly #clock: Clock;
  readonly #current = new Set<{ done: number }>();
  #ended = 0;
  /** [time, done by then], the first about WINDOW_MS old. */
  #marks: (readonly [number, number])[];

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#marks = [[clock.now(), 0]];
  }

  get units(): number {
    return this.#current.size;
  }

  get inFlight(): number {
    let sum = 0;
    for (const { done } of this.#current) sum += done;
    return sum;
  }

  begin(): UnitWork {
    const work = { done: 0 };
    this.#current.add(work);
    return {
      add: (done) => {
        work.done += done;
        this.#mark();
      },
      restart: () => {
        work.done = 0;
      },
      end: (done) => {
        this.#current.delete(work);
        this.#ended += done;
        this.#mark();
      },
      drop: () => {
        this.#current.delete(work);
      },
    };
  }

  /** null until there is something to tell by. */
  perSecond(): number | null {
    const [since, before] = this.#marks[0] as readonly [number, number];
    const elapsedMs = this.#clock.now() - since;
    const done = this.#ended + this.inFlight - before;
    return elapsedMs > 0 && done > 0 ? (done * 1_000) / elapsedMs : null;
  }

  etaMs(left: number): number | null {
    const rate = this.perSecond();
    return rate === null ? null : Math.round((Math.max(0, left) * 1_000) / rate);
  }

  #mark(): void {
    const now = this.#clock.now();
    const last = this.#marks.at(-1) as readonly [number, number];
    if (now - last[0] < WINDOW_MS / 10) return;
    this.#marks.push([now, this.#ended + this.inFlight]);
    const first = this.#marks.findIndex(([at]) => now - at <= WINDOW_MS);
    this.#marks = this.#marks.slice(Math.max(0, first - 1));
  }
}
