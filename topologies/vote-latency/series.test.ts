import { expect, test } from 'vitest';
import { encodeLine, rollupBucket, voteBuckets } from '../../src/databases/influx/index.ts';
import type { Rollup } from '../../src/model/index.ts';
import { rollupDataPoints, rollupPoint, voteDataPoint, voteFeeds, votePoint } from './series.ts';

const vote = {
  validator: '7Np41oeYqPefeNQEHSv1UDhYrehxin3NStELsSKCT4K2',
  voteAccount: '3N7s9zXMZ4QqvHQR15t5GNHyqc89KduzMP7423eWiD5g',
  network: 'testnet' as const,
  votedSlot: 312_345_678,
  landedSlot: 312_345_681,
  slotMs: 400.5,
  timestamp: 1_732_147_200_123,
};

test('a vote is one line of integers, with the first eight characters of its keys as tags', () => {
  expect(encodeLine(votePoint(vote))).toMatch(
    /^vote_latency,network=testnet,validator_id=7Np41oeY,vote_account=3N7s9zXM latency_slots=3i,voted_slot=312345678i,landed_slot=312345681i,latency_ms=1202i 1732147200123\d{6}$/,
  );
});

test('the same vote is the same point; another slot in the same millisecond is another', () => {
  expect(votePoint({ ...vote })).toEqual(votePoint(vote));
  const other = votePoint({ ...vote, votedSlot: vote.votedSlot + 1 });
  expect(other.timestampNs).not.toBe(votePoint(vote).timestampNs);
  expect(other.timestampNs / 1_000_000n).toBe(1_732_147_200_123n);
});

const rollup: Rollup = {
  window: { start: 1_732_147_200_000, end: 1_732_147_500_000 },
  scope: 'validator',
  id: vote.validator,
  voteAccount: vote.voteAccount,
  network: 'testnet',
  count: 3,
  sum: 6,
  min: 1,
  max: 3,
  mean: 2,
  stddev: 0.5,
  p50: 2,
  p95: 3,
  p99: 3,
  movingAverage: 2.5,
  digest: '',
  revision: 0,
  lineage: { topic: 'votes', partition: 0, firstOffset: 0, lastOffset: 2, late: 0, duplicates: 0 },
};

test('a rollup stands at its window start, its count an integer and all else floats even when whole', () => {
  expect(encodeLine(rollupPoint(rollup))).toBe(
    'vote_latency_rollup,network=testnet,scope=validator,validator_id=7Np41oeY,vote_account=3N7s9zXM count=3i,mean=2,min=1,max=3,stddev=0.5,p50=2,p95=3,p99=3,moving_average=2.5 1732147200000000000',
  );
});

test('hours and days share a bucket and are told apart by a tag; a network has no validator', () => {
  const { voteAccount: _, ...ofNetwork } = { ...rollup, scope: 'network', id: 'testnet' };
  expect(encodeLine(rollupPoint(ofNetwork, '1d'))).toMatch(
    /^vote_latency_rollup,network=testnet,scope=network,step=1d count=3i/,
  );
  expect([rollupBucket('5m'), rollupBucket('1h'), rollupBucket('1d')]).toEqual([
    'vote-latencies-5m',
    'validator-metrics',
    'validator-metrics',
  ]);
  expect(voteBuckets.map(({ name }) => name)).toContain(rollupBucket('5m'));
});

test('each InfluxDB feed ends in a bucket that setup makes', () => {
  const buckets = voteFeeds.influx
    .flatMap((feed) => feed.sinks)
    .map((sink) => sink.replace('influx:', ''));
  expect(buckets).toEqual(voteBuckets.map(({ name }) => name));
});

test('KairosDB points carry whole keys; counts are longs, the rest doubles', () => {
  expect(voteDataPoint(vote)).toEqual({
    metric: 'vote_latency',
    tags: { validator: vote.validator, vote_account: vote.voteAccount, network: 'testnet' },
    timestampMs: vote.timestamp,
    value: 3n,
  });
  const points = rollupDataPoints(rollup, '1h');
  expect(points.map(({ metric, value }) => [metric, value])).toEqual([
    ['vote_latency.count', 3n],
    ['vote_latency.mean', 2],
    ['vote_latency.p50', 2],
    ['vote_latency.p95', 3],
    ['vote_latency.p99', 3],
  ]);
  expect(points[0]?.tags).toEqual({
    scope: 'validator',
    id: vote.validator,
    network: 'testnet',
    step: '1h',
  });
  expect(points[0]?.timestampMs).toBe(rollup.window.start);
});
