import { describe, expect, it } from 'vitest';
import { recordedVotes, simulateVotes } from '../../src/collect/index.ts';
import type { Rollup } from '../../src/model/index.ts';
import { describeMermaid, drive, type TopologyDriver } from '../../src/stream/index.ts';
import { voteLatency } from '../../topologies/index.ts';
import { type Expected, expectedRollups, rollupFailures } from '../support/expected-rollups.ts';

const recording = [...recordedVotes()].map(({ key, value }) => ({
  key: String(key),
  value: String(value),
}));
const simulated = [
  ...simulateVotes({
    seed: 7,
    startMs: 1_757_500_000_000,
    validators: 40,
    ratePerSecond: 20,
    count: 60_000,
    lateShare: 0.002,
  }),
].map(({ key, value }) => ({ key: String(key), value: String(value) }));

const steps = { '5m': 300_000, '1h': 3_600_000, '1d': 86_400_000 };

describe.each([
  ['the recorded votes', recording],
  ['an hour of simulated votes with duplicates, disorder and late ones', simulated],
])('rollups of %s', (_, votes) => {
  const expectedIn = new Map<number, Expected>();
  /** Computed once for each number of partitions; batches change nothing of it. */
  const expectedOf = (partitions: number): Expected => {
    const known =
      expectedIn.get(partitions) ??
      expectedRollups(
        votes.map(({ key, value }) => ({ key, vote: JSON.parse(value) })),
        partitions,
      );
    expectedIn.set(partitions, known);
    return known;
  };
  it.each([
    [1, 4096],
    [1, 77],
    [3, 1000],
    [8, 512],
  ])(
    'equal an independent computation with %i partitions and batches of %i',
    { tags: 'heavy' },
    (partitions, batchRecords) => {
      const driver = drive(voteLatency, { partitions, batchRecords });
      driver.pipe('votes', votes).end();
      const expected = expectedOf(partitions);
      const found = Object.entries(steps).flatMap(([step, sizeMs]) => {
        const rollups = driver.read<Rollup>(`votes.rollup.${step}`);
        const sizes = new Set(rollups.map(({ window }) => window.end - window.start));
        expect([...sizes], step).toEqual([sizeMs]);
        return rollups;
      });
      expect(rollupFailures(found, expected)).toEqual([]);
      expect(driver.records('votes.late')).toHaveLength(expected.late);
    },
  );
});

describe('the vote topology', () => {
  it('gives the same bytes again after crashes at any epoch', { tags: 'heavy' }, () => {
    const calm = drive(voteLatency, { partitions: 2 });
    for (let at = 0; at < simulated.length; at += 5_000)
      calm.pipe('votes', simulated.slice(at, at + 5_000));
    const stormy = drive(voteLatency, { partitions: 2, batchRecords: 700 });
    for (let at = 0; at < simulated.length; at += 5_000) {
      stormy.pipe('votes', simulated.slice(at, at + 2_500), { commit: at % 10_000 === 0 });
      stormy.crash();
      stormy.pipe('votes', simulated.slice(at + 2_500, at + 5_000));
    }
    calm.end();
    stormy.end();
    for (const topic of ['votes.rollup.5m', 'votes.rollup.1h', 'votes.rollup.1d', 'votes.late']) {
      const text = (driver: TopologyDriver) =>
        driver
          .records(topic)
          .map((r) => String(r.value))
          .sort();
      expect(text(stormy)).toEqual(text(calm));
    }
  });

  it('sets aside what is no vote, with its place and reason', () => {
    const driver = drive(voteLatency);
    const vote = JSON.parse(recording[0]?.value as string) as Record<string, unknown>;
    driver.pipe('votes', [
      { value: 'no json' },
      { value: { ...vote, votedSlot: 'x' } },
      { value: { ...vote, network: 'moonnet' } },
      { value: { ...vote, landedSlot: 1 } },
      { value: vote, timestamp: (vote.timestamp as number) - 3_600_001 },
      { value: vote, timestamp: (vote.timestamp as number) - 3_600_000 },
    ]);
    const letters = driver.read<{
      code: string;
      offset: number;
      bytes: string;
      topic: string;
      partition: number;
    }>('votes.dead-letter');
    expect(letters.map(({ code, offset }) => `${offset} ${code}`)).toEqual([
      '0 NOT_JSON',
      '1 FIELD_INVALID',
      '2 UNKNOWN_NETWORK',
      '3 LANDED_BEFORE_VOTED',
      '4 TIMESTAMP_IN_FUTURE',
    ]);
    expect(Buffer.from(letters[0]?.bytes as string, 'base64').toString()).toBe('no json');
    expect(letters[0]).toMatchObject({ topic: 'votes', partition: 0 });
  });

  it('holds a network window until every partition has passed it, and lets idle ones go', () => {
    const driver = drive(voteLatency, { partitions: 2 });
    const vote = JSON.parse(recording[0]?.value as string) as {
      timestamp: number;
      votedSlot: number;
    };
    const at = (ms: number, slot: number) => ({
      ...vote,
      timestamp: vote.timestamp + ms,
      votedSlot: vote.votedSlot - slot,
    });
    driver.pipe('votes', [
      { value: at(0, 0), partition: 0 },
      { value: at(600_000, 1), partition: 0 },
    ]);
    const networks = () =>
      driver.read<Rollup>('votes.rollup.5m').filter((r) => r.scope === 'network');
    expect(networks()).toEqual([]);
    driver.idle([1]);
    expect(networks().map((r) => [r.count, r.revision])).toEqual([[1, 0]]);
    // The idle partition had something after all: the window comes again, whole.
    driver.pipe('votes', [
      { value: at(1, 5), partition: 1 },
      { value: at(600_001, 6), partition: 1 },
    ]);
    expect(
      networks()
        .filter((r) => r.window.start <= vote.timestamp)
        .map((r) => [r.count, r.revision]),
    ).toEqual([
      [1, 0],
      [2, 1],
    ]);
  });

  it('draws itself', async () => {
    await expect(describeMermaid(voteLatency)).toMatchFileSnapshot('../golden/vote-latency.mmd');
  });
});
