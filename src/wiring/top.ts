/** The first so many of many, without sorting the rest: a heap whose root is the last of those kept. */

export class Top<T> {
  readonly #limit: number;
  /** Negative: `a` comes before `b`. */
  readonly #compare: (a: T, b: T) => number;
  /** Every parent (at half its place) comes after its children. */
  readonly #kept: T[] = [];

  constructor(limit: number, compare: (a: T, b: T) => number) {
    this.#limit = limit;
    this.#compare = compare;
  }

  /** Whether `item` would be kept now; asking spares making what would not be. */
  takes(item: T): boolean {
    if (this.#kept.length < this.#limit) return true;
    const last = this.#kept[0];
    return last !== undefined && this.#compare(item, last) < 0;
  }

  /** The last of those kept once there are as many as fit: what comes after it is not taken. */
  get last(): T | undefined {
    return this.#kept.length < this.#limit ? undefined : this.#kept[0];
  }

  add(item: T): void {
    if (!this.takes(item)) return;
    const kept = this.#kept;
    if (kept.length < this.#limit) {
      kept.push(item);
      this.#rise(kept.length - 1);
    } else {
      kept[0] = item;
      this.#sink();
    }
  }

  /** First one first. */
  sorted(): T[] {
    return [...this.#kept].sort(this.#compare);
  }

  #rise(from: number): void {
    const kept = this.#kept;
    for (let at = from; at > 0; ) {
      const parent = (at - 1) >> 1;
      if (this.#compare(kept[at] as T, kept[parent] as T) <= 0) return;
      this.#swap(at, parent);
      at = parent;
    }
  }

  #sink(): void {
    const kept = this.#kept;
    for (let at = 0; ; ) {
      let later = at;
      const end = Math.min(2 * at + 3, kept.length);
      for (let child = 2 * at + 1; child < end; child++) {
        if (this.#compare(kept[child] as T, kept[later] as T) > 0) later = child;
      }
      if (later === at) return;
      this.#swap(at, later);
      at = later;
    }
  }

  #swap(a: number, b: number): void {
    const kept = this.#kept;
    const item = kept[a] as T;
    kept[a] = kept[b] as T;
    kept[b] = item;
  }
}
