import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  openTemporaryBroker,
  recordsIn,
  temporaryDirectory,
} from '../../test/support/embedded-broker.ts';
import { openEmbeddedBroker } from '../broker/index.ts';
import { ManualClock, silentLogger, systemClock } from '../runtime/index.ts';
import { type BucketsPort, backupKind, restoreKind } from './backup.ts';
import type { JobKind, JobReport, Json } from './contract.ts';
import { Jobs } from './jobs.ts';

async function run<I extends Json>(kind: JobKind<I>, input: I): Promise<JobReport> {
  const jobs = Jobs.open({
    directory: await temporaryDirectory(),
    kinds: [kind],
    clock: systemClock,
    logger: silentLogger,
    policy: { attemptsMax: 1 },
  });
  onTestFinished(() => jobs.close());
  const { id } = await jobs.start(kind.name, input, { concurrency: 1 });
  await jobs.settled(id);
  return jobs.report(id) as JobReport;
}

/** A bucket of two shards, one of them empty, that remembers what it was given back. */
function fakeBuckets() {
  const restored: { manifest: Json; files: Record<number, string> }[] = [];
  const port: BucketsPort = {
    manifests: async () => [{ name: 'votes/raw', shards: [1, 2], manifest: { bucket: 'raw' } }],
    async backUpShard(shard, file) {
      if (shard === 2) return false;
      await writeFile(file, 'shard one');
      return true;
    },
    async restore(manifest, fileOf) {
      const files: Record<number, string> = {};
      for (const shard of [1, 2]) {
        const file = fileOf(shard);
        if (file !== undefined) files[shard] = await readFile(file, 'utf8');
      }
      restored.push({ manifest, files });
    },
  };
  return { port, restored };
}

async function backedUp(buckets?: BucketsPort) {
  const { broker, directory } = await openTemporaryBroker();
  await broker.createTopics([{ name: 'votes' }]);
  for (let i = 0; i < 20; i++) await broker.append('votes', [{ key: `k${i}`, value: `${i}` }]);
  const into = join(await temporaryDirectory(), 'backup');
  const report = await run(backupKind(buckets), { data: directory, into });
  expect(report).toMatchObject({ state: 'done', error: null });
  return { broker, directory, into };
}

describe('a backup', () => {
  it('is restored with every record, while the original runs on', async () => {
    const { broker, into } = await backedUp();
    const restored = join(await temporaryDirectory(), 'data');
    const report = await run(restoreKind(undefined), { from: into, into: restored });
    expect(report).toMatchObject({ state: 'done', error: null });
    const copy = await openEmbeddedBroker({
      directory: restored,
      clock: new ManualClock(1_700_000_000_000),
      logger: silentLogger,
    });
    expect(await recordsIn(copy, 'votes')).toEqual(await recordsIn(broker, 'votes'));
    await copy.close();
    expect((await readdir(restored)).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  it('holds the buckets, and gives back those shards that held something', async () => {
    const { port, restored } = fakeBuckets();
    const { into } = await backedUp(port);
    await run(restoreKind(port), { from: into, into: join(into, '..', 'data') });
    expect(restored).toEqual([{ manifest: { bucket: 'raw' }, files: { 1: 'shard one' } }]);
  });

  it('whose shard was changed is not sent to the server', async () => {
    const { port, restored } = fakeBuckets();
    const { into } = await backedUp(port);
    const [bucket = ''] = await readdir(join(into, 'buckets'));
    await writeFile(join(into, 'buckets', bucket, '1.tar.gz'), 'shard onf');
    const report = await run(restoreKind(port), { from: into, into: join(into, '..', 'data') });
    expect(report).toMatchObject({ state: 'stopped', error: { code: 'BACKUP_DAMAGED' } });
    expect(restored).toEqual([]);
  });

  it('whose data was changed is not restored', async () => {
    const { into } = await backedUp();
    const file = join(into, 'data', 'log', 'data.mdb');
    const bytes = await readFile(file);
    bytes[bytes.length >> 1]! ^= 4;
    await writeFile(file, bytes);
    const data = join(into, '..', 'data');
    const report = await run(restoreKind(undefined), { from: into, into: data });
    expect(report).toMatchObject({ state: 'stopped', error: { code: 'BACKUP_DAMAGED' } });
    await expect(readdir(data)).rejects.toThrow('ENOENT');
  });

  it('that was not finished is none', async () => {
    const from = await temporaryDirectory();
    await mkdir(join(from, 'data'));
    const report = await run(restoreKind(undefined), { from, into: join(from, 'into') });
    expect(report).toMatchObject({ state: 'stopped', error: { code: 'BACKUP_UNFINISHED' } });
  });

  it('goes into no directory that holds something, and is restored into none', async () => {
    const { directory, into } = await backedUp();
    expect(await run(backupKind(undefined), { data: directory, into })).toMatchObject({
      state: 'stopped',
      error: { code: 'BACKUP_EXISTS' },
    });
    expect(await run(restoreKind(undefined), { from: into, into: directory })).toMatchObject({
      state: 'stopped',
      error: { code: 'DIRECTORY_NOT_EMPTY' },
    });
  });

  it('of nothing is refused', async () => {
    const data = await temporaryDirectory();
    const report = await run(backupKind(undefined), { data, into: join(data, 'backup') });
    expect(report).toMatchObject({ state: 'stopped', error: { code: 'BACKUP_EMPTY' } });
  });
});
