/** kill -9 of the running program on the embedded log, twenty times: what it leaves equals an uninterrupted run. */
import { expect, test } from 'vitest';
import { openEmbeddedBroker, type ProducerRecord } from '../../src/broker/index.ts';
import { simulateVotes } from '../../src/collect/index.ts';
import type { Rollup } from '../../src/model/index.ts';
import { silentLogger, systemClock } from '../../src/runtime/index.ts';
import { temporaryDirectory } from '../support/embedded-broker.ts';
import {
  type DerivedRecord,
  derivedTopics,
  differences,
  embeddedPoints,
  historyOf,
  type Lines,
  linesOf,
  recordsOf,
} from '../support/engine-contents.ts';
import { EngineProcess, getJson, settled, type Topologies } from '../support/engine-process.ts';
import { killSchedule } from './kill-schedule.ts';

const KILLS = 20;
const PARTITIONS = 3;
const environment = {
  TIDEMARK_PARTITIONS: String(PARTITIONS),
  // Short epochs: more places at which a kill can fall.
  TIDEMARK_EPOCH_INTERVAL_MS: '100',
};

const load = (count: number, seed: number): ProducerRecord[] => [
  ...simulateVotes({
    seed,
    startMs: 1_757_500_000_000,
    validators: 150,
    ratePerSecond: count / 4_500,
    count,
    duplicateShare: 0.02,
    lateShare: 0.002,
  }),
];

interface Contents {
  readonly records: readonly DerivedRecord[];
  readonly derived: Lines;
  readonly points: Lines;
  readonly history: Lines;
}

async function contentsOf(data: string): Promise<Contents> {
  const broker = await open(data);
  const records = await recordsOf(broker, Object.values(derivedTopics));
  await broker.close();
  return {
    records,
    derived: linesOf(records),
    points: await embeddedPoints(data),
    history: await historyOf(data, records),
  };
}

const open = (data: string) =>
  openEmbeddedBroker({
    directory: data,
    clock: systemClock,
    logger: silentLogger,
    defaultPartitions: PARTITIONS,
  });

async function append(data: string, votes: readonly ProducerRecord[]): Promise<void> {
  const broker = await open(data);
  await broker.createTopics([{ name: 'votes' }]);
  for (let at = 0; at < votes.length; at += 5_000)
    await broker.append('votes', votes.slice(at, at + 5_000));
  await broker.close();
}

/** Votes that a group has not committed yet. No engine may run. */
async function votesLeft(data: string): Promise<{ topology: number; sink: number }> {
  const broker = await open(data);
  const [votes] = await broker.describeTopics(['votes']);
  const left = async (group: string) => {
    const committed = await broker.committedOffsets(group);
    const of = (partition: number) =>
      committed.find((c) => c.topic === 'votes' && c.partition === partition)?.offset ?? 0;
    return (votes?.partitions ?? []).reduce((sum, p) => sum + p.nextOffset - of(p.partition), 0);
  };
  const topology = await left('tidemark.vote-latency');
  const sink = await left('tidemark.kairos.votes');
  await broker.close();
  return { topology, sink };
}

async function runToTheEnd(data: string): Promise<Contents> {
  const engine = EngineProcess.forThisTest({ data, environment });
  await settled([engine]);
  expect(await engine.stop(), engine.report).toBe(0);
  return contentsOf(data);
}

/** Resolves when a program has read so many votes, over all its lives. */
async function read(engine: EngineProcess, votes: number): Promise<void> {
  const url = await engine.url();
  for (;;) {
    const { topologies } = await getJson<Topologies>(`${url}/v1/topologies`);
    const tasks = topologies.find(({ name }) => name === 'vote-latency')?.tasks ?? [];
    const offsets = tasks.flatMap((task) => task.offsets.filter(({ topic }) => topic === 'votes'));
    if (offsets.reduce((sum, { nextOffset }) => sum + nextOffset, 0) >= votes) return;
    await systemClock.sleep(1);
  }
}

test('twenty kills -9 while votes are processed change no byte of topics, points or history', async () => {
  const votes = load(400_000, 11);
  const calmly = await temporaryDirectory();
  await append(calmly, votes);
  const wanted = await runToTheEnd(calmly);
  expect(wanted.records.length).toBeGreaterThan(2_000);
  expect(wanted.points.size).toBeGreaterThan(300_000);

  const data = await temporaryDirectory();
  const lefts: { topology: number; sink: number }[] = [];
  const portion = votes.length / KILLS;
  for (const [life, { from, delayMs }] of killSchedule(KILLS, 1).entries()) {
    await append(data, votes.slice(life * portion, (life + 1) * portion));
    const flags = ['--topology', 'vote-latency'];
    const engine = EngineProcess.forThisTest({ data, environment, flags });
    if (from === 'start') await systemClock.sleep(delayMs);
    else {
      // By what it has read, so that kills find work in hand, however fast the machine.
      const left = (lefts.at(-1)?.topology ?? 0) + portion;
      await read(engine, (life + 1) * portion - left * (1 - (delayMs / 1_000) * 0.8));
      await systemClock.sleep(delayMs % 20);
    }
    expect(engine.isAlive, engine.report).toBe(true);
    await engine.kill();
    lefts.push(await votesLeft(data));
  }
  // The kills fell into real work, and between them it went on; otherwise the test proves nothing.
  expect(lefts.filter(({ topology }) => topology > 0).length).toBeGreaterThanOrEqual(6);
  expect(new Set(lefts.map(({ sink }) => sink)).size).toBeGreaterThanOrEqual(4);
  const found = await runToTheEnd(data);
  expect(differences(found.derived, wanted.derived)).toEqual([]);
  expect(differences(found.points, wanted.points)).toEqual([]);
  expect(differences(found.history, wanted.history)).toEqual([]);
});

/** Posts batches one after another to whichever life of the program answers, again until acknowledged. */
class Publisher {
  /** How many batches may be out by now. */
  allowed = 0;
  retries = 0;
  #url: string | undefined;
  readonly #batches: readonly string[];

  constructor(votes: readonly ProducerRecord[], batchRecords: number) {
    const lines = votes.map(({ value }) => String(value));
    this.#batches = Array.from({ length: Math.ceil(lines.length / batchRecords) }, (_, i) =>
      lines.slice(i * batchRecords, (i + 1) * batchRecords).join('\n'),
    );
    this.allowed = this.#batches.length;
  }

  to(url: string | undefined): void {
    this.#url = url;
  }

  get batches(): number {
    return this.#batches.length;
  }

  async run(): Promise<void> {
    for (const [i, body] of this.#batches.entries()) {
      while (i >= this.allowed) await systemClock.sleep(5);
      while (!(await this.#post(body))) {
        this.retries++;
        await systemClock.sleep(20);
      }
    }
  }

  async #post(body: string): Promise<boolean> {
    if (this.#url === undefined) return false;
    let response: Response;
    try {
      response = await fetch(`${this.#url}/v1/topics/votes/records`, {
        method: 'POST',
        headers: { 'content-type': 'application/x-ndjson' },
        body,
      });
      await response.text();
    } catch {
      return false;
    }
    expect(response.status).toBe(200);
    return true;
  }
}

test('votes published over HTTP through twenty kills -9, again until acknowledged, are counted once each', async () => {
  const votes = load(60_000, 12);
  const calmly = await temporaryDirectory();
  const calm = EngineProcess.forThisTest({ data: calmly, environment });
  const calmPublisher = new Publisher(votes, 100);
  calmPublisher.to(await calm.url());
  await calmPublisher.run();
  await settled([calm]);
  expect(await calm.stop()).toBe(0);
  const wanted = await contentsOf(calmly);
  expect(calmPublisher.retries).toBe(0);

  const data = await temporaryDirectory();
  const publisher = new Publisher(votes, 100);
  publisher.allowed = 0;
  const publishing = publisher.run();
  for (const { from, delayMs } of killSchedule(KILLS, 2)) {
    publisher.allowed += Math.floor(publisher.batches / (KILLS + 1));
    const engine = EngineProcess.forThisTest({ data, environment });
    if (from === 'listening') publisher.to(await engine.url());
    await systemClock.sleep(delayMs);
    expect(engine.isAlive, engine.report).toBe(true);
    await engine.kill();
  }
  publisher.allowed = publisher.batches;
  const engine = EngineProcess.forThisTest({ data, environment });
  publisher.to(await engine.url());
  await publishing;
  expect(publisher.retries).toBeGreaterThan(KILLS);
  await settled([engine]);
  expect(await engine.stop()).toBe(0);
  const found = await contentsOf(data);
  // A batch whose acknowledgement was lost came again: that shows in offsets and in the count of duplicates only.
  expect(differences(onceEach(found.records), onceEach(wanted.records))).toEqual([]);
  expect(differences(found.points, wanted.points)).toEqual([]);
});

/** Rollups without what repeats change: offsets and the count of duplicates. */
function onceEach(records: readonly DerivedRecord[]): Lines {
  return linesOf(
    records.map(({ topic, key, value }) => {
      if (!topic.startsWith('votes.rollup.')) return { topic, key, value };
      const rollup = JSON.parse(value) as Rollup;
      const { late } = rollup.lineage;
      return { topic, key, value: JSON.stringify({ ...rollup, lineage: { late } }) };
    }),
  );
}
