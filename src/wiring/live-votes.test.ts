import { describe, expect, it } from 'vitest';
import { voteLatency } from '../../topologies/index.ts';
import type { LiveEntry, LiveSort } from '../api/index.ts';
import { simulateVotes } from '../collect/index.ts';
import { ManualClock } from '../runtime/index.ts';
import { recordBatchOf, StageInstance } from '../stream/index.ts';
import type { LiveTask } from './live-task.ts';
import { liveVotes } from './live-votes.ts';

const MINUTE = 60_000;
const START = 1_757_500_200_000;
const sorts: readonly LiveSort[] = ['p99', 'p95', 'p50', 'mean', 'count', 'lastSlot', 'id'];

/** One partition of the vote topology, fed by hand. */
class Partition implements LiveTask {
  readonly instance: StageInstance;
  readonly #partition: number;
  #next = 0;

  constructor(partition = 0) {
    this.#partition = partition;
    this.instance = new StageInstance({
      topology: voteLatency,
      stage: 0,
      partition,
      partitions: 2,
    });
  }

  feed(votes: readonly { key: string | Buffer; value: string | Buffer }[]): this {
    const records = votes.map((vote) => ({
      ...vote,
      offset: this.#next++,
      timestamp: START + 60 * MINUTE,
    }));
    this.instance.process(recordBatchOf('votes', this.#partition, records));
    return this;
  }

  offsets() {
    const at = { topic: 'votes', partition: this.#partition };
    return [{ ...at, nextOffset: this.#next, endOffset: this.#next, lag: 0 }];
  }

  watermark() {
    return this.instance.watermarks().votes ?? null;
  }
}

let slot = 1_000;
const vote = (
  validator: string,
  timestamp: number,
  { latency = 1, network = 'testnet' }: { latency?: number; network?: string } = {},
) => {
  const votedSlot = slot++;
  const value = {
    validator,
    voteAccount: `account-${validator}`,
    network,
    votedSlot,
    landedSlot: votedSlot + latency,
    timestamp,
  };
  return { key: validator, value: JSON.stringify(value) };
};

const simulated = (minutes: number, validators: number) => [
  ...simulateVotes({
    seed: 5,
    startMs: START,
    validators,
    ratePerSecond: 20,
    count: minutes * 60 * 20,
    duplicateShare: 0.02,
  }),
];

/** What a list is sorted by, read from the answer itself. */
const shown = (entry: LiveEntry, sort: LiveSort): number => {
  if (sort === 'lastSlot') return entry.lastSlot ?? -1;
  const window = entry.open ?? entry.closed;
  return window?.[sort as 'p99'] ?? 0;
};

const inOrder =
  (sort: LiveSort) =>
  (a: LiveEntry, b: LiveEntry): number =>
    (sort === 'id' ? 0 : shown(b, sort) - shown(a, sort)) || (a.id < b.id ? -1 : 1);

const live = (...tasks: LiveTask[]) => liveVotes(() => tasks, { now: () => 0 });

describe('the list of validators', () => {
  const votes = simulated(13, 60);
  const tasks = [0, 1].map((p) =>
    new Partition(p).feed(votes.filter(({ key }) => (key.at(-1) as number) % 2 === p)),
  );
  const all = live(...tasks).validators({ sort: 'id', limit: 10_000 });

  it('has each validator of every partition once', () => {
    const expected = new Set(votes.map(({ key }) => key.toString()));
    expect(expected.size).toBe(60);
    expect(all.map(({ id }) => id)).toEqual([...expected].sort());
  });

  it.each(sorts)('sorted by %s begins with those that sorting all would put first', (sort) => {
    const expected = [...all].sort(inOrder(sort));
    for (const limit of [1, 7, 60, 10_000]) {
      expect(live(...tasks).validators({ sort, limit })).toEqual(expected.slice(0, limit));
    }
  });

  it('is in order at any time, whatever has come, closed or been asked since the last list', () => {
    const partitions = [new Partition(0), new Partition(1)];
    const live = liveVotes(() => partitions, { now: () => 0 });
    const votes = simulated(12, 60);
    const sizes = [1, 700, 3, 40, 0, 900, 1];
    for (let at = 0, turn = 0; at < votes.length; turn++) {
      const size = sizes[turn % sizes.length] as number;
      const some = votes.slice(at, at + size);
      at += size;
      for (const [i, partition] of partitions.entries())
        partition.feed(some.filter(({ key }) => key.toString().charCodeAt(0) % 2 === i));
      const all = live.validators({ sort: 'id', limit: 1_000 });
      for (const entry of all) expect(live.validator(entry.id)).toEqual(entry);
      // Not each sort after each piece: what one list brings up to date another must not miss.
      for (const sort of sorts.filter((_, i) => (turn + i) % 3 !== 0)) {
        const expected = all.toSorted((a, b) =>
          sort === 'id' || shown(a, sort) === shown(b, sort)
            ? a.id < b.id
              ? -1
              : 1
            : shown(b, sort) - shown(a, sort),
        );
        expect(live.validators({ sort, limit: 7 })).toEqual(expected.slice(0, 7));
      }
    }
  });

  it('is kept in order between two lists for as long as lists are asked for, and rests then', async () => {
    const clock = new ManualClock(START);
    const partition = new Partition();
    const kept = liveVotes(() => [partition], clock);
    const votes = simulated(12, 60);
    let reads = 0;
    const { instance } = partition;
    const view = instance.exposed.get('validators 5m') as { open(): unknown };
    const open = view.open.bind(view);
    view.open = () => {
      reads++;
      return open();
    };
    kept.validators({ sort: 'p99', limit: 7 });
    for (let at = 0; at < votes.length; at += 400) {
      partition.feed(votes.slice(at, at + 400));
      await clock.advance(150);
      for (const sort of sorts)
        expect(kept.validators({ sort, limit: 7 })).toEqual(
          live(partition).validators({ sort, limit: 7 }),
        );
    }
    await clock.advance(4_900);
    reads = 0;
    await clock.advance(100);
    expect(reads).toBe(1);
    await clock.advance(60_000);
    expect(reads).toBe(1);
  });

  it('says the same of a validator as asking for that one', () => {
    for (const entry of all) expect(live(...tasks).validator(entry.id)).toEqual(entry);
  });

  it('shows the newest open window beside the last closed one', () => {
    const task = new Partition().feed([
      vote('a', START, { latency: 7 }),
      vote('b', START + 1, { latency: 3 }),
      // Closes [0, 5) and leaves [5, 10) and [10, 15) open.
      vote('a', START + 9 * MINUTE, { latency: 2 }),
      vote('a', START + 10 * MINUTE + 1, { latency: 5 }),
    ]);
    const [a, b] = live(task).validators({ sort: 'id', limit: 10 });
    expect(a).toMatchObject({
      id: 'a',
      voteAccount: 'account-a',
      open: { window: { start: START + 10 * MINUTE }, count: 1, max: 5, final: false },
      closed: { window: { start: START }, count: 1, max: 7, final: true },
      asOf: { offset: 4, watermark: START + 10 * MINUTE + 1 },
    });
    expect(b).toMatchObject({ id: 'b', open: null, closed: { count: 1, max: 3 } });
  });

  it('lists a validator once for each network that it votes on', () => {
    const task = new Partition().feed([
      vote('a', START, { latency: 1 }),
      vote('a', START + 1, { latency: 9, network: 'mainnet' }),
    ]);
    expect(
      live(task)
        .validators({ sort: 'p99', limit: 10 })
        .map(({ network, open }) => [network, open?.max]),
    ).toEqual([
      ['mainnet', 9],
      ['testnet', 1],
    ]);
  });
});

describe('one validator', () => {
  it('that nobody has heard of is not there', () => {
    expect(live(new Partition().feed([vote('a', START)])).validator('b')).toBeUndefined();
  });
});

describe('a network', () => {
  it('is merged from its newest open windows over all partitions', () => {
    const tasks = [
      new Partition(0).feed([
        vote('a', START, { latency: 50 }),
        vote('a', START + 5 * MINUTE, { latency: 2 }),
      ]),
      new Partition(1).feed([
        vote('b', START + 5 * MINUTE + 9, { latency: 4 }),
        vote('c', START + 5 * MINUTE + 5, { latency: 8, network: 'mainnet' }),
      ]),
    ];
    expect(live(...tasks).network('testnet')).toMatchObject({
      id: 'testnet',
      open: { window: { start: START + 5 * MINUTE }, count: 2, sum: 6, min: 2, max: 4 },
      closed: null,
      asOf: { offset: 4, watermark: START + 5 * MINUTE },
    });
    expect(live(...tasks).network('devnet')).toBeUndefined();
  });

  it('is merged anew after 100 ms, and until then tells how old it is', () => {
    let now = 1_000;
    const task = new Partition().feed([vote('a', START)]);
    const votes = liveVotes(() => [task], { now: () => now });
    expect(votes.network('testnet')).toMatchObject({ open: { count: 1 }, asOf: { offset: 1 } });
    task.feed([vote('a', START + 1)]);
    now += 99;
    expect(votes.network('testnet')).toMatchObject({ open: { count: 1 }, asOf: { offset: 1 } });
    now += 1;
    expect(votes.network('testnet')).toMatchObject({ open: { count: 2 }, asOf: { offset: 2 } });
  });

  it('asked for again within half a second is merged before the next answer, and rests then', async () => {
    const clock = new ManualClock(START);
    const task = new Partition().feed([vote('a', START)]);
    const view = task.instance.exposed.get('validators 5m') as { open(): unknown };
    const open = view.open.bind(view);
    let reads = 0;
    view.open = () => {
      reads++;
      return open();
    };
    const votes = liveVotes(() => [task], clock);
    const count = () => votes.network('testnet')?.open?.count;
    expect(count()).toBe(1);
    await clock.advance(1_000);
    // Once a second is no reason to.
    expect([count(), reads]).toEqual([1, 2]);
    await clock.advance(400);
    expect([count(), reads]).toEqual([1, 3]);
    task.feed([vote('a', START + 1)]);
    await clock.advance(95);
    expect(reads).toBe(4);
    expect([count(), reads]).toEqual([2, 4]);
    await clock.advance(10_000);
    // Six times in half a second.
    expect(reads).toBe(10);
  });

  it('that was not there a moment ago is there with its first vote', () => {
    const task = new Partition().feed([vote('a', START)]);
    const votes = live(task);
    expect(votes.network('mainnet')).toBeUndefined();
    task.feed([vote('b', START, { network: 'mainnet' })]);
    expect(votes.network('mainnet')).toMatchObject({ open: { count: 1 } });
  });
});
