/**
 * Answers by the exact text of their query. Bounded in bytes: what was used least goes first, and an answer larger than a
 * quarter of the whole is not kept. An answer is given again only while it is younger than the query's own cache_time,
 * counted from before it was read.
 */

interface Entry {
  readonly parts: readonly string[];
  readonly readAtMs: number;
  readonly bytes: number;
}

export class AnswerCache {
  readonly #bytesMax: number;
  /** From the least to the most recently used. */
  readonly #entries = new Map<string, Entry>();
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** What it takes now, at two bytes a character. */
  get bytes(): number {
    return this.#bytes;
  }

  get(text: string, cacheSeconds: number, nowMs: number): readonly string[] | undefined {
    const entry = this.#entries.get(text);
    if (entry === undefined) return undefined;
    const ageMs = nowMs - entry.readAtMs;
    if (ageMs < 0 || ageMs >= cacheSeconds * 1_000) {
      this.#remove(text, entry);
      return undefined;
    }
    this.#entries.delete(text);
    this.#entries.set(text, entry);
    return entry.parts;
  }

  put(text: string, parts: readonly string[], readAtMs: number): void {
    const bytes = 2 * parts.reduce((sum, part) => sum + part.length, text.length);
    const before = this.#entries.get(text);
    if (before !== undefined) this.#remove(text, before);
    if (bytes > this.#bytesMax / 4) return;
    for (const [oldest, entry] of this.#entries) {
      if (this.#bytes + bytes <= this.#bytesMax) break;
      this.#remove(oldest, entry);
    }
    this.#entries.set(text, { parts, readAtMs, bytes });
    this.#bytes += bytes;
  }

  #remove(text: string, entry: Entry): void {
    this.#entries.delete(text);
    this.#bytes -= entry.bytes;
  }
}
