/**
 * Work that operators have begun and not yet ended: loads of an `enrich`. Whoever feeds the pipes waits until
 * nothing is held before it feeds the next batch or cuts an epoch, so that a cut is still a batch boundary.
 * Continuations run in the order in which the work began, whatever ends first: the result does not depend on
 * how long anything took.
 */
interface Held {
  outcome: PromiseSettledResult<unknown> | undefined;
  readonly go: (outcome: PromiseSettledResult<unknown>) => void;
}

export class HeldWork {
  #held: Held[] = [];
  #drained: PromiseWithResolvers<void> | undefined;
  #failure: { readonly error: unknown } | undefined;
  #closed = false;

  get busy(): boolean {
    return this.#held.length > 0;
  }

  /** Holds until `then` has run; what `then` begins in its turn is held behind all that already is. */
  add<R>(work: Promise<R>, then: (outcome: PromiseSettledResult<R>) => void): void {
    const held: Held = { outcome: undefined, go: then as Held['go'] };
    this.#held.push(held);
    work.then(
      (value) => this.#ended(held, { status: 'fulfilled', value }),
      (reason: unknown) => this.#ended(held, { status: 'rejected', reason }),
    );
  }

  /** Undefined when nothing is held; else resolves once nothing is, and rejects when `fail` was called. */
  drained(): Promise<void> | undefined {
    if (this.#failure !== undefined) return Promise.reject(this.#failure.error);
    if (!this.busy) return undefined;
    if (this.#drained === undefined) {
      this.#drained = Promise.withResolvers<void>();
      // Whoever asked for it may come to await it later; until then a failure must not count as unhandled.
      this.#drained.promise.catch(() => {});
    }
    return this.#drained.promise;
  }

  /** The pipes are broken: no continuation runs any more. */
  fail(error: unknown): void {
    if (this.#failure !== undefined || this.#closed) return;
    this.#failure = { error };
    this.#held = [];
    this.#drained?.reject(error);
  }

  /** Nobody wants the rest: no continuation runs any more, and whoever waits goes on. */
  close(): void {
    this.#closed = true;
    this.#held = [];
    this.#drained?.resolve();
  }

  #ended(held: Held, outcome: PromiseSettledResult<unknown>): void {
    held.outcome = outcome;
    for (;;) {
      const first = this.#held[0];
      if (first?.outcome === undefined) return;
      try {
        first.go(first.outcome);
      } catch (error) {
        this.fail(error);
      }
      // Closed or failed within `go`: the list is another one.
      if (this.#held[0] !== first) return;
      this.#held.shift();
      if (this.#held.length === 0) {
        this.#drained?.resolve();
        this.#drained = undefined;
        return;
      }
    }
  }
}
