/**
 * Backup and restore of a data directory whose log is written meanwhile, beside `cp` of the same file while nothing
 * writes: `node bench/run.ts backup [rounds]`. Prints min, median and max of the rounds, and what a backup costs the writer.
 */
import { copyFile, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openEmbeddedBroker, type ProducerRecord } from '../src/broker/index.ts';
import { simulateVotes } from '../src/collect/index.ts';
import { backupKind, type JobKind, Jobs, type Json, restoreKind } from '../src/jobs/index.ts';
import { silentLogger, systemClock } from '../src/runtime/index.ts';
import { noiseNow, warnOfNoise, writeResults } from './support/results.ts';

const VOTES = 1_000_000;
const rounds = Number(process.argv[2] ?? 3);
const noise = noiseNow();
warnOfNoise(noise);
const place = await mkdtemp(join(tmpdir(), 'tidemark-bench-'));
const data = join(place, 'data');
const broker = await openEmbeddedBroker({
  directory: data,
  clock: systemClock,
  logger: silentLogger,
});
await broker.createTopics([{ name: 'votes' }]);
const votes: ProducerRecord[] = [
  ...simulateVotes({
    seed: 1,
    startMs: 1_757_500_000_000,
    validators: 2_000,
    ratePerSecond: 10_000,
    count: VOTES,
  }),
];
for (let at = 0; at < votes.length; at += 5_000)
  await broker.append('votes', votes.slice(at, at + 5_000));
const file = join(data, 'log', 'data.mdb');
const { size } = await stat(file);

async function run<I extends Json>(kind: JobKind<I>, input: I, name: string): Promise<void> {
  const jobs = Jobs.open({
    directory: join(place, name),
    kinds: [kind],
    clock: systemClock,
    logger: silentLogger,
  });
  const { id } = await jobs.start(kind.name, input, { concurrency: 1 });
  await jobs.settled(id);
  const report = jobs.report(id);
  await jobs.close();
  if (report?.state !== 'done') throw new Error(`${name}: ${JSON.stringify(report?.error)}`);
}

/** Appends of 100 votes, one after another, until `during` ends: how many a second. */
async function appendsWhile(during: Promise<unknown>): Promise<number> {
  let going = true;
  void during.finally(() => {
    going = false;
  });
  const began = performance.now();
  let appends = 0;
  for (; going; appends++) await broker.append('votes', votes.slice(0, 100));
  return (appends * 1_000) / (performance.now() - began);
}

const seconds = async (work: () => Promise<unknown>): Promise<number> => {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1_000;
};

const figures: Record<string, number[]> = {};
const note = (name: string, value: number) => {
  figures[name] = [...(figures[name] ?? []), value];
};
for (let round = 0; round < rounds; round++) {
  const into = join(place, `backup-${round}`);
  const restored = join(place, `restored-${round}`);
  note('plain copy, s', await seconds(() => copyFile(file, join(place, 'copy'))));
  note('appends of 100 votes, alone, 1/s', await appendsWhile(systemClock.sleep(2_000)));
  const backup = run(backupKind(undefined), { data, into }, `job-b${round}`);
  const began = performance.now();
  note('appends of 100 votes, beside a backup, 1/s', await appendsWhile(backup));
  note('backup, s', (performance.now() - began) / 1_000);
  note(
    'restore, s (RTO without start)',
    await seconds(() =>
      run(restoreKind(undefined), { from: into, into: restored }, `job-r${round}`),
    ),
  );
  for (const path of [into, restored]) await rm(path, { recursive: true, force: true });
}
await broker.close();
await rm(place, { recursive: true, force: true });

process.stdout.write(`log of ${VOTES} votes, ${(size / 2 ** 20).toFixed(0)} MiB\n`);
const table = Object.entries(figures).map(([name, taken]) => {
  const sorted = taken.toSorted((a, b) => a - b);
  const [min, median, max] = [sorted[0], sorted[sorted.length >> 1], sorted.at(-1)] as number[];
  const text = [min, median, max].map((v) => (v as number).toFixed(2)).join(' / ');
  process.stdout.write(`${name.padEnd(48)} ${text}\n`);
  return { name, min, median, max };
});
writeResults('backup', noise, { votes: VOTES, logBytes: size, rounds, figures: table });
