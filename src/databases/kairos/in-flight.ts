/** A bound on requests under way, shared by all callers of one store: what is over it waits its turn here. */
export class InFlight {
  readonly #max: number;
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(max: number) {
    this.#max = max;
  }

  async run<T>(request: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#max) {
      // The slot is handed over, so `#running` stays.
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else {
      this.#running++;
    }
    try {
      return await request();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }

  /**
   * Runs `each` for all items, in their order of start; one that is made as it is asked for is made then. After a failure
   * no further one is started; it rejects with the first failure once those under way have ended.
   */
  async forEach<T>(
    items: Iterable<T>,
    each: (item: T) => Promise<void>,
    signal?: AbortSignal,
  ): Promise<void> {
    const failures: unknown[] = [];
    const left = items[Symbol.iterator]();
    const worker = async (first: IteratorResult<T>) => {
      let item = first;
      while (item.done !== true && failures.length === 0) {
        const { value } = item;
        try {
          await this.run(() => {
            signal?.throwIfAborted();
            return each(value);
          });
          item = left.next();
        } catch (error) {
          failures.push(error);
        }
      }
    };
    const workers: Promise<void>[] = [];
    while (workers.length < this.#max && failures.length === 0) {
      const first = left.next();
      if (first.done === true) break;
      workers.push(worker(first));
    }
    await Promise.all(workers);
    if (failures.length > 0) throw failures[0];
  }
}
