/**
 * Shares one thread between all who have work in pieces: each stands in line and gets one piece at a time, with the
 * event loop free in between, so that HTTP, heartbeats and commits live under any load.
 */

/** Who has work: does a piece of it, and says whether there is more. */
export interface Worker {
  turn(): boolean;
}

/** Work that has had the thread for so long gives way: a request may then wait for this and a collection of garbage. */
const PIECE_MS = 2;

export class Turns {
  readonly #line = new Set<Worker>();
  readonly #watch: () => number;
  #scheduled = false;

  /** `watch`: milliseconds from any beginning. */
  constructor(watch: () => number = () => performance.now()) {
    this.#watch = watch;
  }

  ready(worker: Worker): void {
    this.#line.add(worker);
    if (!this.#scheduled) {
      this.#scheduled = true;
      setImmediate(this.#run);
    }
  }

  /** Resolves in its turn, for one piece of work of who waits: as much as may hold the thread at once. */
  next(): Promise<void> {
    return new Promise((resolve) => {
      this.ready({
        turn: () => {
          resolve();
          return false;
        },
      });
    });
  }

  /**
   * For work whose pieces can't be counted out beforehand, because an item is cheap when it is known and dear when it
   * is new: from now on, `isOver` says when it is somebody else's turn.
   */
  piece(): Piece {
    return new Piece(this, this.#watch);
  }

  readonly #run = (): void => {
    const [worker] = this.#line;
    if (worker !== undefined) {
      this.#line.delete(worker);
      if (worker.turn()) this.#line.add(worker);
    }
    this.#scheduled = this.#line.size > 0;
    if (this.#scheduled) setImmediate(this.#run);
  };
}

export class Piece {
  readonly #turns: Turns;
  readonly #watch: () => number;
  #beganMs: number;

  constructor(turns: Turns, watch: () => number) {
    this.#turns = turns;
    this.#watch = watch;
    this.#beganMs = watch();
  }

  /** Costs as much as a cheap item or two: ask for every few. */
  get isOver(): boolean {
    return this.#watch() - this.#beganMs >= PIECE_MS;
  }

  /** Resolves in the next turn, with a new piece begun. */
  async next(): Promise<void> {
    await this.#turns.next();
    this.#beganMs = this.#watch();
  }
}

/**
 * The line of this thread. Consumers, tasks and stores of all topologies and feeds stand in it: were there one for
 * each, a dozen pieces would run between two looks at the network.
 */
export const threadTurns = new Turns();
