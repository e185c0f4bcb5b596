import { expect, it } from 'vitest';
import { VoteTruth } from '../../test/support/vote-truth.ts';
import { recordedVotes } from './recorded-votes.ts';

const votes = [...recordedVotes()];

it('holds every vote of the recording, keyed by its validator, by landed slot', {
  tags: 'heavy',
}, () => {
  expect(votes).toHaveLength(67_980);
  let landed = 0;
  // `expect` for each would take most of the test's time.
  const wrong = votes.filter(({ key, value }) => {
    const vote = JSON.parse(value.toString());
    const before = landed;
    landed = vote.landedSlot;
    return (
      Object.keys(vote).join() !== 'validator,voteAccount,network,votedSlot,landedSlot,timestamp' ||
      key.toString() !== vote.validator ||
      vote.landedSlot < before ||
      vote.timestamp !== 1_757_502_201_000 + (vote.landedSlot - 356_797_361) * 400
    );
  });
  expect(wrong.map(({ value }) => value.toString())).toEqual([]);
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
