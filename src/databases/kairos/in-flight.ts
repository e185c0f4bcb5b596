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
   * Runs `each` for all items, in their order of start. After a failure no further one is started; it rejects with
   * the first failure once those under way have ended.
   */
  async forEach<T>(
    items: readonly T[],
    each: (item: T) => Promise<void>,
    signal?: AbortSignal,
  ): Promise<void> {
    const failures: unknown[] = [];
    let next = 0;
    const worker = async () => {
      while (next < items.length && failures.length === 0) {
        const item = items[next++] as T;
        try {
          await this.run(() => {
            signal?.throwIfAborted();
            return each(item);
          });
        } catch (error) {
          failures.push(error);
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(this.#max, items.length) }, worker));
    if (failures.length > 0) throw failures[0];
  }
}
