/**
 * Shares one thread between all who have work in pieces: each stands in line and gets one piece at a time, with the
 * event loop free in between, so that HTTP, heartbeats and commits live under any load.
 */

/** Who has work: does a piece of it, and says whether there is more. */
export interface Worker {
  turn(): boolean;
}

export class Turns {
  readonly #line = new Set<Worker>();
  #scheduled = false;

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

/**
 * The line of this thread. Consumers, tasks and stores of all topologies and feeds stand in it: were there one for
 * each, a dozen pieces would run between two looks at the network.
 */
export const threadTurns = new Turns();
