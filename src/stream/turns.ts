/**
 * Shares one thread between tasks: whoever has work stands in line and gets one batch at a time, with the
 * event loop free in between, so that HTTP, heartbeats and commits live under any load.
 */
export class Turns<T extends { turn(): boolean }> {
  readonly #line = new Set<T>();
  #scheduled = false;

  ready(task: T): void {
    this.#line.add(task);
    if (!this.#scheduled) {
      this.#scheduled = true;
      setImmediate(this.#run);
    }
  }

  readonly #run = (): void => {
    const [task] = this.#line;
    if (task !== undefined) {
      this.#line.delete(task);
      if (task.turn()) this.#line.add(task);
    }
    this.#scheduled = this.#line.size > 0;
    if (this.#scheduled) setImmediate(this.#run);
  };
}
