import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { VoteTruth } from '../../test/support/vote-truth.ts';
import { simulateVotes, type VoteSimulation } from './simulate-votes.ts';

const startMs = 1_757_502_000_000;
const usual: VoteSimulation = {
  seed: 7,
  startMs,
  validators: 100,
  ratePerSecond: 500,
  count: 200_000,
};

const parsed = (options: VoteSimulation) =>
  Array.from(simulateVotes(options), ({ key, value }) => ({
    key: key.toString(),
    ...(JSON.parse(value.toString()) as {
      validator: string;
      voteAccount: string;
      network: string;
      votedSlot: number;
      landedSlot: number;
      timestamp: number;
    }),
  }));

const digest = (options: VoteSimulation) => {
  const hash = createHash('sha256');
  for (const { key, value } of simulateVotes(options)) hash.update(key).update(value);
  return hash.digest('hex');
};

describe('simulateVotes', () => {
  it('gives the same bytes for the same seed, others for another', { tags: 'heavy' }, () => {
    const small = { ...usual, count: 20_000 };
    expect(digest(small)).toBe(digest(small));
    expect(digest({ ...small, seed: 8 })).not.toBe(digest(small));
  });

  it('keeps every value whole while later ones are written beside it', { tags: 'heavy' }, () => {
    const votes = [...simulateVotes({ ...usual, count: 50_000 })];
    const texts = votes.map(({ value }) => value.toString());
    for (const text of texts) expect(JSON.stringify(JSON.parse(text))).toBe(text);
  });

  it('keys each vote by its validator, whose key is 32 bytes of base58', () => {
    const votes = parsed({ ...usual, count: 5_000 });
    for (const vote of votes) expect(vote.key).toBe(vote.validator);
    const accounts = new Map(votes.map((vote) => [vote.validator, vote.voteAccount]));
    expect(accounts.size).toBe(100);
    expect(new Set(votes.map((vote) => `${vote.validator} ${vote.voteAccount}`)).size).toBe(100);
    for (const key of [...accounts.keys(), ...accounts.values()]) {
      expect(key).toMatch(/^[1-9A-HJ-NP-Za-km-z]{43}$/);
      expect(base58Bytes(key)).toBe(32);
    }
  });

  it('repeats, disorders and delays the shares that it was told to', { tags: 'heavy' }, () => {
    const votes = parsed(usual);
    const identities = new Set(votes.map((vote) => `${vote.voteAccount} ${vote.votedSlot}`));
    const duplicateShare = 1 - identities.size / votes.length;
    expect(duplicateShare).toBeGreaterThan(0.009);
    expect(duplicateShare).toBeLessThan(0.011);

    let highest = Number.NEGATIVE_INFINITY;
    let behind = 0;
    let far = 0;
    for (const { timestamp } of votes) {
      highest = Math.max(highest, timestamp);
      // A repeat is at most some 4 096 punctual votes old: 9 s at this rate.
      if (highest - timestamp > 9_500 && highest - timestamp <= 20_000) behind++;
      if (highest - timestamp > 20_000) far++;
    }
    expect(behind / votes.length).toBeCloseTo(0.05 * (10_500 / 20_000), 2);
    expect(far / votes.length).toBeGreaterThan(0.0008);
    expect(far / votes.length).toBeLessThan(0.0012);
  });

  it('runs in event time at the given rate from the given start', () => {
    const clean = { duplicateShare: 0, outOfOrderShare: 0, lateShare: 0 };
    const votes = parsed({ ...usual, ...clean, count: 5_001 });
    expect(votes[0]?.timestamp).toBe(startMs);
    expect(votes.at(-1)?.timestamp).toBe(startMs + 10_000);
    expect(votes.every((vote, i) => i === 0 || vote.timestamp >= votes[i - 1]!.timestamp)).toBe(
      true,
    );
  });

  it('lands votes with the latencies of testnet', { tags: 'heavy' }, () => {
    const latencies = parsed(usual).map((vote) => vote.landedSlot - vote.votedSlot);
    const share = (latency: number) =>
      latencies.filter((x) => x === latency).length / latencies.length;
    expect(share(1)).toBeCloseTo(0.828, 2);
    expect(share(2)).toBeCloseTo(0.152, 2);
    expect(Math.min(...new Set(latencies))).toBe(1);
  });

  it('casts no vote beyond its count, and none at all of a count of 0', () => {
    expect([...simulateVotes({ ...usual, count: 0 })]).toEqual([]);
    expect([
      ...simulateVotes({ ...usual, count: 3, duplicateShare: 1, outOfOrderShare: 0, lateShare: 0 }),
    ]).toHaveLength(3);
  });

  it.each([
    [{ validators: 0 }, /validators/],
    [{ ratePerSecond: 0 }, /ratePerSecond/],
    [{ duplicateShare: -0.1 }, /shares/],
    [{ duplicateShare: 0.9, outOfOrderShare: 0.2 }, /shares/],
    [{ lateShare: Number.NaN }, /shares/],
  ])('refuses %o', (wrong, message) => {
    expect(() => simulateVotes({ ...usual, ...wrong }).next()).toThrow(message);
  });
});

describe('VoteTruth', () => {
  const vote = (second: number, slot: number, latency = 1) =>
    JSON.stringify({
      validator: 'v',
      voteAccount: 'a',
      network: 'testnet',
      votedSlot: slot,
      landedSlot: slot + latency,
      timestamp: second * 1000,
    });
  const truthOf = (...votes: string[]) => {
    const truth = new VoteTruth();
    for (const each of votes) truth.add(0, each);
    return truth;
  };

  it('puts a vote at a window’s end into the next window', () => {
    const windows = truthOf(vote(299, 1), vote(300, 2)).windows();
    expect(windows.map(({ start, count }) => ({ start, count }))).toEqual([
      { start: 0, count: 1 },
      { start: 300_000, count: 1 },
    ]);
  });

  it('takes a vote until the watermark stands at end + grace, and none from then on', () => {
    const inTime = truthOf(vote(1, 1), vote(329.999, 2), vote(2, 3, 4));
    expect(inTime.windows()[0]).toMatchObject({
      count: 2,
      sum: 5,
      min: 1,
      max: 4,
      late: 0,
      closed: false,
    });
    const late = truthOf(vote(1, 1), vote(330, 2), vote(2, 3));
    expect(late.windows()[0]).toMatchObject({ count: 1, late: 1, closed: true });
    expect(late.totals()).toEqual({ records: 3, counted: 2, duplicates: 0, late: 1 });
  });

  it('counts a repeat in the first one’s window, within ten minutes and also when it would be late', () => {
    const truth = truthOf(vote(299, 1), vote(301, 1), vote(700, 9), vote(899, 1), vote(900, 1));
    expect(truth.windows()[0]).toMatchObject({ start: 0, count: 1, duplicates: 1, late: 0 });
    expect(truth.totals()).toEqual({ records: 5, counted: 3, duplicates: 2, late: 0 });
  });

  it('keeps a watermark for each partition', () => {
    const truth = truthOf(vote(1000, 1));
    truth.add(1, vote(1, 2));
    expect(truth.totals().late).toBe(0);
    truth.add(0, vote(1, 3));
    expect(truth.totals().late).toBe(1);
  });

  it('adds up to every record of a simulation', { tags: 'heavy' }, () => {
    const truth = new VoteTruth();
    for (const { key, value } of simulateVotes({ ...usual, lateShare: 0.01 })) {
      truth.add(key[0]! % 4, value);
    }
    const { records, counted, duplicates, late } = truth.totals();
    expect(records).toBe(200_000);
    expect(counted + duplicates + late).toBe(records);
    expect(late).toBeGreaterThan(500);
    const windows = truth.windows();
    expect(windows.reduce((sum, window) => sum + window.count, 0)).toBe(counted);
    expect(windows.filter((window) => window.closed && window.count > 0).length).toBeGreaterThan(
      100,
    );
  });
});

function base58Bytes(text: string): number {
  const digits = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';
  let value = 0n;
  for (const digit of text) value = value * 58n + BigInt(digits.indexOf(digit));
  return Math.ceil(value.toString(16).length / 2);
}
