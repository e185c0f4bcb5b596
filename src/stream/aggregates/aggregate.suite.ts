/** What every aggregate is held to; no product code imports it. */
import { expect } from 'vitest';
import type { Aggregate } from '../aggregate.ts';
import type { Batch } from '../batch.ts';
import { jsonCodec } from '../codecs/index.ts';
import { recordBatchOf } from '../record-batch.ts';

/** Rows as a codec without a schema gives them; one batch. */
export function batchOf(rows: readonly unknown[]): Batch<unknown> {
  const records = rows.map((row, offset) => ({
    key: null,
    value: JSON.stringify(row),
    offset,
    timestamp: offset,
  }));
  const decoded = jsonCodec()
    .createDecoder()
    .decode(recordBatchOf('rows', 0, records));
  return {
    topic: 'rows',
    partition: 0,
    length: rows.length,
    offsets: Float64Array.from(rows.keys()),
    watermarks: decoded.timestamps,
    watermark: rows.length - 1,
    duplicates: undefined,
    original: () => ({ key: null, value: null }),
    ...decoded,
  };
}

/** The state after each batch of rows in turn. */
export function fold<S>(aggregate: Aggregate<S>, ...batches: (readonly unknown[])[]): S {
  const state = aggregate.create();
  for (const rows of batches) {
    const add = aggregate.adder(batchOf(rows));
    for (const i of rows.keys()) add(state, i);
  }
  return state;
}

/** Whatever comes later, a state restored from its bytes goes on as the one that was never stored. */
export function expectRestorable<S>(
  aggregate: Aggregate<S>,
  before: readonly unknown[],
  after: readonly unknown[],
): void {
  const kept = fold(aggregate, before);
  const restored = aggregate.decode(aggregate.encode(kept));
  const add = aggregate.adder(batchOf(after));
  for (const i of after.keys()) {
    add(kept, i);
    add(restored, i);
  }
  expect(aggregate.encode(restored)).toEqual(aggregate.encode(kept));
}

/** Parts merged in order hold what one state holds that saw all rows; the merged part stays as it is. */
export function expectMergeable<S>(
  aggregate: Aggregate<S>,
  first: readonly unknown[],
  second: readonly unknown[],
): void {
  const into = fold(aggregate, first);
  const from = fold(aggregate, second);
  const bytes = aggregate.encode(from);
  aggregate.merge(into, from);
  expect(aggregate.encode(from)).toEqual(bytes);
  expect(aggregate.encode(into)).toEqual(aggregate.encode(fold(aggregate, first, second)));
}
