import { expect, it } from 'vitest';
import { VoteTruth } from '../../test/support/vote-truth.ts';
import { recordedVotes } from './recorded-votes.ts';

const votes = [...recordedVotes()];

it('holds every vote of the recording, keyed by its validator, by landed slot', {
  tags: 'heavy',
}, () => {
  expect(votes).toHaveLength(67_980);
  let landed = 0;
  for (const { key, value } of votes) {
    const vote = JSON.parse(value.toString());
    expect(Object.keys(vote)).toEqual([
      'validator',
      'voteAccount',
      'network',
      'votedSlot',
      'landedSlot',
      'timestamp',
    ]);
    expect(key.toString()).toBe(vote.validator);
    expect(vote.landedSlot).toBeGreaterThanOrEqual(landed);
    expect(vote.timestamp).toBe(1_757_502_201_000 + (vote.landedSlot - 356_797_361) * 400);
    landed = vote.landedSlot;
  }
});

it('has the latencies that data/README.md states', { tags: 'heavy' }, () => {
  const truth = new VoteTruth();
  for (const { value } of votes) truth.add(0, value);
  expect(truth.totals()).toEqual({ records: 67_980, counted: 67_980, duplicates: 0, late: 0 });
  const windows = truth.windows();
  expect(new Set(windows.map((window) => window.validator)).size).toBe(2193);
  expect(windows.reduce((sum, window) => sum + window.sum, 0)).toBe(83_859);
  expect(Math.max(...windows.map((window) => window.max))).toBe(71);
});
