/** `acrossPartitions`, driven: parts of all partitions become one window, whoever crashes or sleeps meanwhile. */
import { expect, test } from 'vitest';
import { voteLatency } from '../../../topologies/index.ts';
import type { Rollup } from '../../model/index.ts';
import { drive, type TopologyDriver } from '../driver.ts';

const startMs = 1_757_500_000_000 - (1_757_500_000_000 % 300_000);
let slot = 0;
const vote = (partition: number, atMs: number) => ({
  partition,
  value: {
    validator: `validator-${partition}`.padEnd(32, '1'),
    voteAccount: `account-${partition}`.padEnd(32, '1'),
    network: 'testnet',
    votedSlot: slot++,
    landedSlot: slot + 1,
    timestamp: startMs + atMs,
  },
});

const networks = (driver: TopologyDriver) =>
  driver
    .read<Rollup>('votes.rollup.5m')
    .filter((rollup) => rollup.scope === 'network')
    .map(({ window, count, revision }) => [window.start - startMs, count, revision]);

test('partitions that fall asleep after a restart still let the last windows out', () => {
  const driver = drive(voteLatency, { partitions: 2 });
  driver.pipe('votes', [vote(0, 0), vote(0, 400_000), vote(1, 1_000)]);
  driver.crash();
  driver.idle([0, 1]);
  expect(networks(driver)).toEqual([[0, 1, 0]]);
});
