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
