/** A backup taken while the program works, and its restore, each killed -9 ten times: what comes back goes on to the same end. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openEmbeddedBroker } from '../../src/broker/index.ts';
import { simulateVotes } from '../../src/collect/index.ts';
import { silentLogger, systemClock } from '../../src/runtime/index.ts';
import { CommandProcess } from '../support/command-process.ts';
import { temporaryDirectory } from '../support/embedded-broker.ts';
import {
  derivedTopics,
  differences,
  embeddedPoints,
  historyOf,
  linesOf,
  recordsOf,
} from '../support/engine-contents.ts';
import { EngineProcess, settled } from '../support/engine-process.ts';
import { halfDone, killTenTimes, UnitsDone } from '../support/killed-jobs.ts';

/**
 * A backup has few units, the log the first and largest of them: some lives end in that, some later. The last units
 * are left to whoever goes to the end.
 */
const GOALS = [0, 0, 0, 0, 0.01, 0.01, 0.01, 0.25, 0.25, 0.25];
const environment = { TIDEMARK_EPOCH_INTERVAL_MS: '100' };

const open = (directory: string) =>
  openEmbeddedBroker({ directory, clock: systemClock, logger: silentLogger });

async function contentsOf(data: string) {
  const broker = await open(data);
  const records = await recordsOf(broker, Object.values(derivedTopics));
  const bytes = records.map(({ topic, key, value }) => `${topic} ${key} ${value}`).sort();
  await broker.close();
  return {
    bytes,
    derived: linesOf(records),
    points: await embeddedPoints(data),
    history: await historyOf(data, records),
  };
}

async function toTheEnd(data: string): Promise<void> {
  const engine = EngineProcess.forThisTest({ data, environment });
  await settled([engine]);
  expect(await engine.stop(), engine.report).toBe(0);
}

/** Runs it again and again, killed each time while it works, and once more to its end. */
async function killedTenTimes(words: readonly string[], job: string, seed: number): Promise<void> {
  const done = new UnitsDone(job);
  const held = await killTenTimes({
    begin: () => new CommandProcess(words),
    progress: () => done.read(),
    isKept: true,
    goals: GOALS,
    seed,
    held: async () => done.read() ?? 0,
  });
  await done.close();
  expect(halfDone(held, 1), `${held}`).not.toEqual([]);
  const last = new CommandProcess(words);
  expect(await last.exit(), last.printed).toBe(0);
}

test('a backup and a restore that are killed ten times lose nothing of a program that goes on', async () => {
  const data = await temporaryDirectory();
  const broker = await open(data);
  await broker.createTopics([{ name: 'votes' }]);
  const votes = [
    ...simulateVotes({
      seed: 5,
      startMs: 1_757_500_000_000,
      validators: 150,
      ratePerSecond: 40,
      count: 200_000,
      duplicateShare: 0.02,
      lateShare: 0.002,
    }),
  ];
  for (let at = 0; at < votes.length; at += 5_000)
    await broker.append('votes', votes.slice(at, at + 5_000));
  await broker.close();

  const engine = EngineProcess.forThisTest({ data, environment });
  await engine.url();
  const into = join(await temporaryDirectory(), 'backup');
  await killedTenTimes(['backup', into, '--data', data], join(into, '.job'), 1);
  await settled([engine]);
  expect(await engine.stop(), engine.report).toBe(0);
  const wanted = await contentsOf(data);
  expect(wanted.derived.size).toBeGreaterThan(1_000);

  const restored = join(await temporaryDirectory(), 'restored');
  const words = ['restore', into, '--data', restored];
  await killedTenTimes(words, join(restored, '.restore-job'), 2);
  expect(await readdir(restored)).not.toContain('.restore');
  await toTheEnd(restored);
  const found = await contentsOf(restored);
  expect(differences(found.derived, wanted.derived)).toEqual([]);
  expect(differences(found.points, wanted.points)).toEqual([]);
  expect(differences(found.history, wanted.history)).toEqual([]);
});

test('a backup of a program at rest comes back byte for byte', async () => {
  const data = await temporaryDirectory();
  const broker = await open(data);
  await broker.createTopics([{ name: 'votes' }]);
  await broker.append('votes', [
    ...simulateVotes({
      seed: 6,
      startMs: 1_757_500_000_000,
      validators: 20,
      ratePerSecond: 20,
      count: 20_000,
    }),
  ]);
  await broker.close();
  await toTheEnd(data);
  const into = join(await temporaryDirectory(), 'backup');
  const backup = new CommandProcess(['backup', into, '--data', data]);
  expect(await backup.exit(), backup.printed).toBe(0);
  const restored = await temporaryDirectory();
  const restore = new CommandProcess(['restore', into, '--data', restored]);
  expect(await restore.exit(), restore.printed).toBe(0);
  const [found, wanted] = [await contentsOf(restored), await contentsOf(data)];
  expect(wanted.bytes.length).toBeGreaterThan(60);
  expect(found).toEqual(wanted);
});
