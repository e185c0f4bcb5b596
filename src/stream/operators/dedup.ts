/**
 * Lets the first record of an identity pass and takes out its repetitions within a stretch of event time.
 * Repetitions stay beside the selection, so that a window can count them where the first one fell. Judged by
 * event time and this partition's order only: a replay agrees.
 */
import { type Batch, type Column, type Dictionary, isTextColumn } from '../batch.ts';
import { columnNamed, joinKey, textAt } from '../key-index.ts';
import { type Operator, operator } from '../operator.ts';
import { withSelection } from '../rows.ts';
import { Seen } from '../seen.ts';

export interface DedupOptions {
  /** Fields that together are the identity. Fastest: one text field and one number field. */
  readonly by: readonly string[];
  /** Two records are the same event only when their event times are at most this far apart. */
  readonly withinMs: number;
  /**
   * How far the watermark runs past an identity before it is forgotten: bounds memory to what arrives in that
   * time (24 to 43 bytes each). Default twice `withinMs`, so that also a late repetition is still known.
   */
  readonly keepMs?: number;
}

export function dedup<T>(options: DedupOptions): Operator<T, T> {
  const { by, withinMs } = options;
  const keepMs = options.keepMs ?? withinMs * 2;
  return operator<T, T>({ kind: 'dedup', detail: { by, withinMs, keepMs } }, (task) => {
    const seen = new Seen(withinMs, keepMs);
    task.store(seen);
    const identities = new Identities(by, seen);
    return {
      next: (batch, emit) => {
        const { selected, timestamps, watermarks } = batch;
        const count = selected === undefined ? batch.length : selected.length;
        const read = identities.reader(batch);
        const kept = new Int32Array(count);
        let keeping = 0;
        const rows: number[] = [];
        const firsts: number[] = [];
        for (let k = 0; k < count; k++) {
          const i = selected === undefined ? k : (selected[k] as number);
          read(i);
          const first = seen.firstTime(
            identities.id,
            identities.number,
            timestamps[i] as number,
            watermarks[i] as number,
          );
          if (Number.isNaN(first)) kept[keeping++] = i;
          else {
            rows.push(i);
            firsts.push(first);
          }
        }
        seen.advance(batch.watermark);
        if (rows.length === 0) return emit(batch);
        task.count('duplicate', rows.length);
        const duplicates = {
          count: rows.length,
          rows: Int32Array.from(rows),
          firstTimestamps: Float64Array.from(firsts),
        };
        emit({ ...withSelection(batch, kept.subarray(0, keeping)), duplicates });
      },
    };
  });
}

/** Reads a row's identity as (id, number) without allocating for the usual text + number pair. */
class Identities {
  id = 0;
  number = 0;
  readonly #by: readonly string[];
  readonly #seen: Seen;
  #dictionary: Dictionary | undefined;
  #generation = 0;
  #idByCode = new Int32Array(0);

  constructor(by: readonly string[], seen: Seen) {
    this.#by = by;
    this.#seen = seen;
  }

  reader(batch: Batch<unknown>): (i: number) => void {
    const columns = this.#by.map((field) => columnNamed(batch, field));
    const text = columns.find(isTextColumn);
    const number = columns.find((column) => !isTextColumn(column));
    if (
      columns.length === 2 &&
      text !== undefined &&
      number !== undefined &&
      !isTextColumn(number)
    ) {
      const { codes, dictionary } = text;
      this.#watch(dictionary);
      const idByCode = this.#idByCode;
      return (i) => {
        const code = codes[i] as number;
        const value = number[i] as number;
        if (code < 0 || Number.isNaN(value)) return this.#readAny(columns, i);
        let id = idByCode[code] as number;
        if (id < 0) {
          id = this.#seen.idOf(dictionary.text(code));
          idByCode[code] = id;
        }
        this.id = id;
        this.number = value;
      };
    }
    return (i) => this.#readAny(columns, i);
  }

  /** All fields as one text; an absent one is a value of its own. */
  #readAny(columns: readonly Column[], i: number): void {
    this.id = this.#seen.idOf(joinKey(columns.map((column) => textAt(column, i) ?? '\u001e')));
    this.number = 0;
  }

  #watch(dictionary: Dictionary): void {
    const same = dictionary === this.#dictionary && this.#generation === this.#seen.generation;
    if (same && dictionary.size <= this.#idByCode.length) return;
    const grown = new Int32Array(Math.max(64, dictionary.size * 2)).fill(-1);
    if (same) grown.set(this.#idByCode);
    this.#dictionary = dictionary;
    this.#generation = this.#seen.generation;
    this.#idByCode = grown;
  }
}
