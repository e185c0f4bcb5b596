/**
 * Keeps deletes and writes of one process apart. A delete that took a row's index entry while a write into that
 * row was under way would leave the point where no query finds it.
 */
export class Gate {
  #writing = 0;
  /** Settles when the delete that holds or awaits the gate is through. */
  #closed: Promise<void> | undefined;
  #allOut: (() => void) | undefined;

  /** Any number at once, but none beside a delete. */
  async write<T>(action: () => Promise<T>): Promise<T> {
    while (this.#closed !== undefined) await this.#closed;
    this.#writing++;
    try {
      return await action();
    } finally {
      this.#writing--;
      if (this.#writing === 0) this.#allOut?.();
    }
  }

  /** One at a time, once the writes under way are through; later ones wait. */
  async delete<T>(action: () => Promise<T>): Promise<T> {
    while (this.#closed !== undefined) await this.#closed;
    let open: () => void = () => {};
    this.#closed = new Promise((resolve) => {
      open = resolve;
    });
    try {
      if (this.#writing > 0) {
        await new Promise<void>((resolve) => {
          this.#allOut = resolve;
        });
      }
      return await action();
    } finally {
      this.#allOut = undefined;
      this.#closed = undefined;
      open();
    }
  }
}
