/**
 * A codec turns a topic's bytes into rows and back. Decoding goes a batch at a time into columns; a record
 * that can't be decoded is rejected by row with a code, never by exception, so that one bad record costs
 * nothing else.
 */
import type { RecordBatch } from '../broker/index.ts';
import type { Column } from './batch.ts';

/** Why one record is set aside. Codes are the contract's: NOT_JSON, FIELD_INVALID, … */
export interface Reject {
  readonly row: number;
  readonly code: string;
  /** What, where and how to mend it: `votedSlot: expected a whole number, got "x"`. */
  readonly message: string;
}

export interface Decoded<T> {
  /** One slot per record of the batch, also for rejected rows (whose values mean nothing). */
  readonly columns: Readonly<Record<string, Column>>;
  /** As `Batch.absent`. */
  readonly absent?: (() => Column) | undefined;
  /** Event time of each row, ms; NaN for rejected rows. */
  readonly timestamps: Float64Array;
  /** Ascending rows that decoded; undefined = all. */
  readonly selected: Int32Array | undefined;
  /** Ascending by row. */
  readonly rejects: readonly Reject[];
  /** A fresh plain object of row i. */
  row(i: number): T;
}

/** One per task: holds the task's dictionaries. Not shared, not persisted. */
export interface Decoder<T> {
  decode(batch: RecordBatch): Decoded<T>;
}

export interface Codec<T> {
  readonly name: string;
  createDecoder(): Decoder<T>;
  encode(row: T): Buffer;
}
