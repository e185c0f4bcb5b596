import { expect, onTestFinished, test } from 'vitest';
import { temporaryDirectory } from '../../../test/support/embedded-broker.ts';
import { days, minutes, type Rollup } from '../../model/index.ts';
import { RollupStore } from './rollup-store.ts';

const DAY = 20_342 * days(1);
const rollup = (id: string, start: number, network = 'testnet'): Rollup => ({
  window: { start, end: start + minutes(5) },
  scope: 'validator',
  id,
  network,
  count: 1,
  sum: 2,
  min: 2,
  max: 2,
  mean: 2,
  stddev: 0,
  p50: 2,
  p95: 2,
  p99: 2,
  movingAverage: 2,
  digest: '',
  revision: 0,
  lineage: { topic: 'votes', partition: 3, firstOffset: 0, lastOffset: 9, late: 0, duplicates: 0 },
});

test('the newest rollup of a key is found whatever its network and day', async () => {
  const store = new RollupStore(await temporaryDirectory());
  onTestFinished(() => store.close());
  expect(store.newest({ scope: 'validator', id: 'a', step: '5m' })).toBeUndefined();
  await store.put([
    rollup('a', DAY + minutes(10), 'devnet'),
    rollup('a', DAY + minutes(5), 'testnet'),
    rollup('ab', DAY + minutes(50)),
    rollup('b', DAY - days(3)),
    rollup('b', DAY - days(3) - minutes(5)),
  ]);
  const newest = (id: string) => store.newest({ scope: 'validator', id, step: '5m' });
  expect(newest('a')).toEqual(rollup('a', DAY + minutes(10), 'devnet'));
  expect(newest('b')).toEqual(rollup('b', DAY - days(3)));
  expect(newest('c')).toBeUndefined();
  expect(store.newest({ scope: 'validator', id: 'a', step: '1h' })).toBeUndefined();
});

test('a range holds exactly the rollups of its step that start in it, of all keys and days', async () => {
  const store = new RollupStore(await temporaryDirectory());
  onTestFinished(() => store.close());
  expect(store.keptSinceMs('5m')).toBe(Number.NEGATIVE_INFINITY);
  const hour = (id: string, start: number): Rollup => ({
    ...rollup(id, start),
    window: { start, end: start + minutes(60) },
  });
  const starts = Array.from({ length: 40 }, (_, n) => DAY - minutes(100) + n * minutes(5));
  await store.put(['a', 'ab', 'b'].flatMap((id) => starts.map((start) => rollup(id, start))));
  await store.put([rollup('a', DAY, 'devnet'), hour('a', DAY)]);
  const found: string[] = [];
  const range = { fromMs: DAY - minutes(5), toMs: DAY + minutes(5) };
  for await (const page of store.within('5m', range)) {
    found.push(...page.map(({ id, network, window }) => `${id} ${network} ${window.start - DAY}`));
  }
  const before = -minutes(5);
  expect(found.sort()).toEqual(
    [
      ...['a', 'ab', 'b'].flatMap((id) => [`${id} testnet ${before}`, `${id} testnet 0`]),
      'a devnet 0',
    ].sort(),
  );
  expect(store.keptSinceMs('5m')).toBe(DAY - days(7));
});
