import { expect, test } from 'vitest';
import type { DetectorName } from '../../stats/index.ts';
import { recordBatchOf } from '../record-batch.ts';
import { StageInstance } from '../stage-instance.ts';
import { type Reading, readingCodec } from '../testing.ts';
import { topology } from '../topology.ts';
import { detect } from './detect.ts';

/** State of a task, by key as hex. */
type State = ReadonlyMap<string, Buffer>;

function start(detector: DetectorName, state: State = new Map()): StageInstance {
  const drawn = topology('judged', ({ source }) => {
    source('in', readingCodec)
      .pipe(
        'detect',
        detect({
          detector,
          scoreMin: 0,
          key: ({ k }) => k,
          value: ({ n }) => n,
          time: ({ t }) => t,
        }),
      )
      .to('out', { key: ({ k }) => k, value: ({ score }) => String(score) });
  });
  const instance = new StageInstance({ topology: drawn, stage: 0, partition: 0, partitions: 1 });
  for (const [key, value] of state) instance.stores.restore(Buffer.from(key, 'hex'), value);
  instance.stores.restored();
  return instance;
}

function scores(instance: StageInstance, rows: readonly Reading[]): readonly string[] {
  const values = rows.map((row, offset) => ({
    key: row.k,
    value: JSON.stringify(row),
    offset,
    timestamp: row.t,
  }));
  instance.process(recordBatchOf('in', 0, values));
  return instance.takeOutputs().records.map(({ value }) => String(value));
}

function stateOf(instance: StageInstance, before: State = new Map()): State {
  const state = new Map(before);
  instance.stores.drain((key, value) => {
    if (value === null) state.delete(key.toString('hex'));
    else state.set(key.toString('hex'), Buffer.from(value));
  });
  return state;
}

const FIVE_MINUTES = 300_000;
const rows = (from: number, to: number): readonly Reading[] =>
  Array.from({ length: to - from }, (_, i) => {
    const n = from + i;
    return { k: 'a', n: n === 350 ? 900 : 50 + ((n * 7) % 5), t: n * FIVE_MINUTES };
  });

test('a step that is given another detector begins anew and clears away what the one before it left', () => {
  const old = start('records');
  scores(old, rows(0, 300));
  const left = stateOf(old);
  expect(left.size).toBe(1);

  const after = start('records-and-surges', left);
  expect(after.stores).toMatchObject({ orphans: 0, outdated: 1 });
  const found = scores(after, rows(300, 500));
  expect(found).toEqual(scores(start('records-and-surges'), rows(300, 500)));
  const now = stateOf(after, left);
  expect(now.size).toBe(1);
  expect([...now.keys()]).not.toEqual([...left.keys()]);

  // Once: the next start finds nothing of it.
  const next = start('records-and-surges', now);
  expect(next.stores).toMatchObject({ orphans: 0, outdated: 0 });
});

test('a step that keeps its detector goes on where it was', () => {
  const first = start('records');
  scores(first, rows(0, 300));
  const found = scores(start('records', stateOf(first)), rows(300, 500));
  expect(found).toEqual(scores(first, rows(300, 500)));
  expect(found).not.toEqual(scores(start('records'), rows(300, 500)));
});

test('what a step of another name left stays where it is', () => {
  const left = new Map([[Buffer.from('detector\u001fa').toString('hex'), Buffer.from('x')]]);
  const after = start('records', left);
  expect(after.stores).toMatchObject({ orphans: 1, outdated: 0 });
  expect(stateOf(after, left)).toEqual(left);
});
