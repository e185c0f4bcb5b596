/**
 * The gate before every figure: an entrant's five-minute rollups against the independent truth
 * (test/support/vote-truth.ts), read as committed. Each closed window must be there once, with its count, sum,
 * min and max exactly right; a window that was still open at the end of the votes may be missing.
 */

import type { Broker, RecordBatch } from '../../src/broker/index.ts';
import type { Rollup } from '../../src/model/index.ts';
import { type ExpectedWindow, VoteTruth } from '../../test/support/vote-truth.ts';

const READ_BYTES = 4 * 1024 * 1024;

export type Truth = ReadonlyMap<string, ExpectedWindow>;

export interface Verdict {
  readonly windows: number;
  /** The first few things that are wrong; empty = exactly right. */
  readonly wrong: string[];
}

/** By validator and window start; some ten seconds for 2.5 M votes. */
export async function truthOf(broker: Broker, topic: string): Promise<Truth> {
  const truth = new VoteTruth();
  await readAll(broker, topic, (batch) => {
    for (let i = 0; i < batch.count; i++) truth.add(batch.partition, valueAt(batch, i));
  });
  return new Map(truth.windows().map((window) => [`${window.validator} ${window.start}`, window]));
}

export async function checkRollups(broker: Broker, topic: string, truth: Truth): Promise<Verdict> {
  const wrong: string[] = [];
  const seen = new Set<string>();
  await readAll(broker, topic, (batch) => {
    for (let i = 0; i < batch.count; i++) {
      const rollup = JSON.parse(valueAt(batch, i).toString()) as Rollup;
      const id = `${rollup.id} ${rollup.window.start}`;
      const expected = truth.get(id);
      if (seen.has(id)) wrong.push(`${id}: twice`);
      seen.add(id);
      if (expected === undefined || expected.count === 0) {
        wrong.push(`${id}: there is no such window`);
        continue;
      }
      for (const figure of ['count', 'sum', 'min', 'max'] as const) {
        if (rollup[figure] !== expected[figure]) {
          wrong.push(`${id}: ${figure} is ${rollup[figure]}, not ${expected[figure]}`);
        }
      }
    }
  });
  for (const [id, { closed, count }] of truth) {
    if (closed && count > 0 && !seen.has(id)) wrong.push(`${id}: missing`);
  }
  return { windows: seen.size, wrong: wrong.slice(0, 10) };
}

async function readAll(
  broker: Broker,
  topic: string,
  each: (batch: RecordBatch) => void,
): Promise<void> {
  const [description] = await broker.describeTopics([topic]);
  for (const { partition, firstOffset, nextOffset } of description?.partitions ?? []) {
    for (let from = firstOffset; from < nextOffset; ) {
      const batch = await broker.read({ topic, partition, from, maxBytes: READ_BYTES });
      if (batch === null) break;
      each(batch);
      from = batch.nextOffset;
    }
  }
}

const valueAt = (batch: RecordBatch, i: number): Buffer =>
  batch.bytes.subarray(batch.valueStart[i], batch.valueEnd[i]);
