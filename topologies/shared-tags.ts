/** One frozen object for all points of a series: whoever stores points works out a series once, and knows it by this. */
import type { DataPoint } from '../src/model/index.ts';

type Tags = DataPoint['tags'];

/** Past this all are made anew, with the next point of each. */
const SHARED_TAGS_MAX = 10_000;

export class SharedTags {
  readonly #known = new Map<string, Tags>();

  get(key: string): Tags | undefined {
    return this.#known.get(key);
  }

  keep(key: string, tags: Tags): Tags {
    if (this.#known.size >= SHARED_TAGS_MAX) this.#known.clear();
    const kept = Object.freeze(tags);
    this.#known.set(key, kept);
    return kept;
  }
}
