/** Windows that close in slices over several turns: the vote topology gives the same bytes, paced or not. */
import { expect, test } from 'vitest';
import { simulateVotes } from '../../src/collect/index.ts';
import { recordBatchOf, StageInstance } from '../../src/stream/index.ts';
import { voteLatency } from '../../topologies/index.ts';

const START = 1_757_500_200_000;
const VALIDATORS = 200;

/** Two and a half hours of a few votes a minute, in which windows of 200 validators close together. */
const votes = [
  ...simulateVotes({
    seed: 3,
    startMs: START,
    validators: VALIDATORS,
    ratePerSecond: 0.7,
    count: 6_000,
    duplicateShare: 0.02,
    lateShare: 0.01,
  }),
].map((vote, offset) => ({ ...vote, offset, timestamp: START + 1e8 }));

/** Everything that comes out, topic by topic, and the state that is left. */
async function run(nextTurn?: () => Promise<void>) {
  const instance = new StageInstance({
    topology: voteLatency,
    stage: 0,
    partition: 0,
    partitions: 1,
    ...(nextTurn && { nextTurn }),
  });
  for (let from = 0; from < votes.length; from += 900) {
    instance.process(recordBatchOf('votes', 0, votes.slice(from, from + 900)));
    await instance.drained();
  }
  instance.finish();
  await instance.drained();
  const { records } = instance.takeOutputs();
  const state = new Map<string, string | null>();
  instance.stores.drain((key, value) =>
    state.set(key.toString('hex'), value?.toString('hex') ?? null),
  );
  const byTopic = Map.groupBy(records, ({ topic }) => topic);
  return {
    state,
    outputs: new Map(
      [...byTopic].map(([topic, of]) => [topic, of.map(({ key, value }) => [key, String(value)])]),
    ),
  };
}

test('a task that lets others in while windows close gives the same bytes as one that does not', {
  tags: 'heavy',
}, async () => {
  const atOnce = await run();
  let turns = 0;
  const paced = await run(async () => {
    turns++;
    // A turn is as long as it is.
    for (let i = 0; i < turns % 4; i++) await new Promise((resolve) => setImmediate(resolve));
  });
  expect(turns).toBeGreaterThan(50);
  expect(atOnce.outputs.get('votes.rollup.1h')?.length).toBeGreaterThan(VALIDATORS);
  expect(paced.outputs).toEqual(atOnce.outputs);
  expect(paced.state).toEqual(atOnce.state);
});

test('nothing may be taken from a task between two slices', async () => {
  const instance = new StageInstance({
    topology: voteLatency,
    stage: 0,
    partition: 0,
    partitions: 1,
    nextTurn: () => new Promise((resolve) => setImmediate(resolve)),
  });
  instance.process(recordBatchOf('votes', 0, votes.slice(0, 900)));
  instance.finish();
  expect(() => instance.takeOutputs()).toThrow(/BUG: work is under way/);
  await instance.drained();
  expect(instance.takeOutputs().records.length).toBeGreaterThan(VALIDATORS);
});
