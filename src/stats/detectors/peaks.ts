/** Lets through only what is higher than all of the rows before it: one event, one report. */
import type { BytesReader, BytesWriter } from '../bytes.ts';

export class Peaks {
  readonly #rows: number;
  /** Rows that no later one has reached, with their levels: both fall from the front to the back. */
  #recent: { age: number; level: number }[] = [];

  /** `rows`: how far back one looks. */
  constructor(rows: number) {
    this.#rows = rows;
  }

  /** `level` if it is above those of the last rows, else 0. */
  push(level: number): number {
    for (const each of this.#recent) each.age++;
    if (this.#recent.length > 0 && this.#recent[0]!.age > this.#rows) this.#recent.shift();
    const before = this.#recent[0]?.level ?? 0;
    if (level > 0) {
      while (this.#recent.length > 0 && this.#recent.at(-1)!.level <= level) this.#recent.pop();
      this.#recent.push({ age: 0, level });
    }
    return level > before ? level : 0;
  }

  /** At most. */
  get bytesMax(): number {
    return 8 + 16 * (this.#rows + 1);
  }

  /** Count varint · of each, highest first: age varint, level f64. */
  write(writer: BytesWriter): void {
    writer.varint(this.#recent.length);
    for (const { age, level } of this.#recent) {
      writer.varint(age);
      writer.f64(level);
    }
  }

  static read(reader: BytesReader, rows: number): Peaks {
    const peaks = new Peaks(rows);
    const count = reader.varint();
    reader.expect(count <= rows + 1, 'it remembers too many peaks');
    for (let i = 0; i < count; i++) {
      const age = reader.varint();
      peaks.#recent.push({ age, level: reader.f64() });
    }
    return peaks;
  }
}
