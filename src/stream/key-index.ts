/**
 * Numbers the keys of a grouped stream: the combination of some columns' values becomes one small integer,
 * found again by two array reads for the usual one or two text columns.
 */
import {
  type Batch,
  type Column,
  type Dictionary,
  isTextColumn,
  type TextColumn,
} from './batch.ts';

export class KeyIndex {
  readonly fields: readonly string[];
  /** Values of each key, by number. */
  readonly values: (readonly string[])[] = [];
  readonly #byText = new Map<string, number>();
  #dictionary: Dictionary | undefined;
  #second: Dictionary | undefined;
  /** By code of the first column: the key last seen with it, and that key's second code. */
  #keyByCode = new Int32Array(0);
  #secondByCode = new Int32Array(0);

  constructor(fields: readonly string[]) {
    this.fields = fields;
  }

  get size(): number {
    return this.values.length;
  }

  /** A function from row number to key number; -1 where a field is absent. */
  reader(batch: Batch<unknown>): (i: number) => number {
    const columns = this.fields.map((field) => columnNamed(batch, field));
    const [a, b] = columns;
    if (a && isTextColumn(a) && columns.length === 1) return this.#readOne(a);
    if (a && b && isTextColumn(a) && isTextColumn(b) && columns.length === 2)
      return this.#readTwo(a, b);
    return (i) => this.#resolve(columns, i);
  }

  /** The number of a key given as texts; made when new. */
  numberOf(values: readonly string[]): number {
    const text = joinKey(values);
    let key = this.#byText.get(text);
    if (key === undefined) {
      key = this.values.length;
      this.values.push(values);
      this.#byText.set(text, key);
    }
    return key;
  }

  find(values: readonly string[]): number | undefined {
    return this.#byText.get(joinKey(values));
  }

  #readOne(a: TextColumn): (i: number) => number {
    this.#watch(a.dictionary, undefined);
    const { codes } = a;
    const keys = this.#keyByCode;
    return (i) => {
      const code = codes[i] as number;
      if (code < 0) return -1;
      let key = keys[code] as number;
      if (key < 0) {
        key = this.numberOf([a.dictionary.text(code)]);
        keys[code] = key;
      }
      return key;
    };
  }

  #readTwo(a: TextColumn, b: TextColumn): (i: number) => number {
    this.#watch(a.dictionary, b.dictionary);
    const first = a.codes;
    const second = b.codes;
    const keys = this.#keyByCode;
    const seconds = this.#secondByCode;
    return (i) => {
      const code = first[i] as number;
      const other = second[i] as number;
      if (code < 0 || other < 0) return -1;
      if (seconds[code] === other) return keys[code] as number;
      const key = this.numberOf([a.dictionary.text(code), b.dictionary.text(other)]);
      keys[code] = key;
      seconds[code] = other;
      return key;
    };
  }

  #resolve(columns: readonly (Column | undefined)[], i: number): number {
    const values: string[] = [];
    for (const column of columns) {
      const text = column === undefined ? undefined : textAt(column, i);
      if (text === undefined) return -1;
      values.push(text);
    }
    return this.numberOf(values);
  }

  /** Fits the lookup arrays to the dictionary; codes of another dictionary mean something else. */
  #watch(dictionary: Dictionary, second: Dictionary | undefined): void {
    const same = this.#dictionary === dictionary && this.#second === second;
    if (same && dictionary.size <= this.#keyByCode.length) return;
    const size = Math.max(64, dictionary.size * 2);
    const keys = new Int32Array(size).fill(-1);
    const seconds = new Int32Array(size).fill(-1);
    if (same) {
      keys.set(this.#keyByCode);
      seconds.set(this.#secondByCode);
    }
    this.#keyByCode = keys;
    this.#secondByCode = seconds;
    this.#dictionary = dictionary;
    this.#second = second;
  }
}

/** Text of a column's cell; undefined when absent. */
export function textAt(column: Column, i: number): string | undefined {
  if (isTextColumn(column)) {
    const code = column.codes[i] as number;
    return code < 0 ? undefined : column.dictionary.text(code);
  }
  const value = column[i] as number;
  return Number.isNaN(value) ? undefined : String(value);
}

/** The column of a field, with an error that names those there are. */
export function columnNamed(batch: Batch<unknown>, field: string): Column {
  const column = batch.columns[field] ?? batch.absent?.();
  if (column === undefined) {
    throw new Error(
      `no field "${field}" in the rows of ${batch.topic}; there are: ${Object.keys(batch.columns).join(', ') || 'none'}`,
    );
  }
  return column;
}

/** A numeric column of a field. */
export function numbersNamed(batch: Batch<unknown>, field: string): Float64Array {
  const column = columnNamed(batch, field);
  if (isTextColumn(column))
    throw new Error(`field "${field}" of ${batch.topic} is text; a number is needed here`);
  return column;
}

export const joinKey = (values: readonly string[]): string => values.join('\u001f');
export const splitKey = (text: string): readonly string[] => text.split('\u001f');
