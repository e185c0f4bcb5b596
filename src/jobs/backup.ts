/**
 * Backups of a data directory, taken while an engine runs on it, and of InfluxDB's buckets; and their return. The log
 * is copied first and the stores after it: what a store misses is then still in front of its feed's cursor in the
 * log, and is written again. Nothing counts as a backup before its manifest is there, which is written last.
 *
 *   BACKUP/manifest.json             what it holds, with hashes
 *   BACKUP/data/<environment>/       one LMDB environment, `log` among them
 *   BACKUP/buckets/<name>/           manifest.json and one file per shard
 */
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import {
  copyEnvironment,
  type EnvironmentProof,
  environmentsBelow,
  hashOfFile,
  proveEnvironment,
} from '../broker/index.ts';
import { FatalError, messageOf } from '../model/index.ts';
import type { JobKind, Json, UnitOutcome } from './contract.ts';

/** InfluxDB's side; absent when none is configured. */
export interface BucketsPort {
  /** Each bucket's shards; opaque manifests go back as they are. */
  manifests(signal: AbortSignal): Promise<
    readonly {
      readonly name: string;
      readonly shards: readonly number[];
      readonly manifest: Json;
    }[]
  >;
  /** False when the shard holds nothing. */
  backUpShard(shard: number, file: string, signal: AbortSignal): Promise<boolean>;
  restore(
    manifest: Json,
    fileOf: (shard: number) => string | undefined,
    signal: AbortSignal,
  ): Promise<void>;
}

interface BucketEntry {
  readonly manifest: Json;
  /** SHA-256 of each shard's file, by shard. */
  readonly shards: Readonly<Record<string, string>>;
}

interface Manifest {
  readonly format: 1;
  readonly environments: Readonly<Record<string, EnvironmentProof>>;
  readonly buckets: Readonly<Record<string, BucketEntry>>;
}

export type BackupInput = { readonly data: string; readonly into: string };
export type RestoreInput = { readonly from: string; readonly into: string };

type Work = { readonly environment: string } | { readonly bucket: string } | null;

const MANIFEST = 'manifest.json';
const PROOF = 'proof.json';
/** In the directory that is restored into: what is not complete yet. */
const UNFINISHED = '.restore';

const environmentAt = (directory: string, name: string) => join(directory, 'data', name);
/** Names of buckets may hold anything, slashes too. */
const bucketAt = (directory: string, name: string) =>
  join(directory, 'buckets', encodeURIComponent(name).replaceAll('.', '%2E'));

export function backupKind(buckets: BucketsPort | undefined): JobKind<BackupInput> {
  return {
    name: 'backup',
    noun: 'bytes',
    title: ({ data, into }) => `${data} into ${into}`,
    async *plan({ data, into }, { signal }) {
      await refuseUsed(into, 'BACKUP_EXISTS', 'a backup goes into an empty directory');
      const names = await environmentsBelow(data);
      if (names.length === 0 && buckets === undefined) {
        throw new FatalError(
          `${data} holds nothing to back up: give --data, the directory an engine runs or ran on`,
          { code: 'BACKUP_EMPTY', context: { directory: data } },
        );
      }
      for (const environment of names)
        yield {
          name: environment,
          work: { environment },
          size: await sizeOf(join(data, environment)),
        };
      for (const { name, shards, manifest } of (await buckets?.manifests(signal)) ?? []) {
        await writeJson(join(bucketAt(into, name), MANIFEST), { manifest, shards });
        yield { name: `bucket ${name}`, work: { bucket: name }, size: 0 };
      }
      yield { name: 'manifest', work: null, size: 0 };
    },
    async run({ work }, { data, into }, { signal, progress }) {
      const unit = work as Work;
      if (unit === null) return finishBackup(into);
      if ('environment' in unit) {
        const { environment } = unit;
        const to = environmentAt(into, environment);
        // An attempt that died after it was done is done again: a store may be newer than the log, never older.
        await rm(to, { recursive: true, force: true });
        const proof = await copyEnvironment(join(data, environment), to);
        await writeJson(join(to, PROOF), proof);
        progress(proof.bytes);
        return { done: proof.bytes, result: { entries: proof.entries, hash: proof.contentHash } };
      }
      return backUpBucket(buckets as BucketsPort, bucketAt(into, unit.bucket), signal);
    },
  };
}

async function backUpBucket(
  buckets: BucketsPort,
  directory: string,
  signal: AbortSignal,
): Promise<UnitOutcome> {
  const { manifest, shards } = await readJson<{ manifest: Json; shards: readonly number[] }>(
    join(directory, MANIFEST),
  );
  const hashes: Record<string, string> = {};
  let bytes = 0;
  for (const shard of shards) {
    const file = join(directory, `${shard}.tar.gz`);
    if (!(await buckets.backUpShard(shard, file, signal))) continue;
    hashes[shard] = await hashOfFile(file);
    bytes += await sizeOfFile(file);
  }
  await writeJson(join(directory, PROOF), { manifest, shards: hashes } satisfies BucketEntry);
  return { done: bytes, result: { shards: Object.keys(hashes).length } };
}

/** From here on it is a backup. */
async function finishBackup(into: string): Promise<UnitOutcome> {
  const environments: Record<string, EnvironmentProof> = {};
  for (const name of await environmentsBelow(join(into, 'data')))
    environments[name] = await readJson(join(environmentAt(into, name), PROOF));
  const buckets: Record<string, BucketEntry> = {};
  for (const folder of await namesIn(join(into, 'buckets')))
    buckets[decodeURIComponent(folder)] = await readJson(join(into, 'buckets', folder, PROOF));
  await writeJson(join(into, MANIFEST), { format: 1, environments, buckets } satisfies Manifest);
  return { done: 0 };
}

/** `buckets` absent: a backup's buckets stay where they are. */
export function restoreKind(buckets: BucketsPort | undefined): JobKind<RestoreInput> {
  return {
    name: 'restore',
    noun: 'bytes',
    title: ({ from, into }) => `${from} into ${into}`,
    async *plan({ from, into }) {
      const manifest = await manifestOf(from);
      await refuseUsed(into, 'DIRECTORY_NOT_EMPTY', 'a backup is restored into an empty directory');
      for (const [environment, { bytes }] of Object.entries(manifest.environments))
        yield { name: environment, work: { environment }, size: bytes };
      if (buckets !== undefined)
        for (const bucket of Object.keys(manifest.buckets))
          yield { name: `bucket ${bucket}`, work: { bucket }, size: 0 };
      yield { name: 'into place', work: null, size: 0 };
    },
    async run({ work }, { from, into }, { signal }) {
      const unit = work as Work;
      const manifest = await manifestOf(from);
      if (unit === null) return putInPlace(manifest, into);
      if ('environment' in unit) {
        const proof = manifest.environments[unit.environment] as EnvironmentProof;
        const source = environmentAt(from, unit.environment);
        await restoreEnvironment(source, join(into, UNFINISHED, unit.environment), proof);
        return { done: proof.bytes, result: { entries: proof.entries, hash: proof.contentHash } };
      }
      const entry = manifest.buckets[unit.bucket] as BucketEntry;
      const fileOf = (shard: number | string) =>
        join(bucketAt(from, unit.bucket), `${shard}.tar.gz`);
      for (const [shard, hash] of Object.entries(entry.shards))
        if ((await hashOfFile(fileOf(shard))) !== hash) throw damaged(fileOf(shard));
      const has = (shard: number) => (shard in entry.shards ? fileOf(shard) : undefined);
      await (buckets as BucketsPort).restore(entry.manifest, has, signal);
      return { done: 0, result: { shards: Object.keys(entry.shards).length } };
    },
  };
}

/** Copied, flushed, and read back: what lies there is what was backed up, entry by entry. */
async function restoreEnvironment(
  from: string,
  to: string,
  proof: EnvironmentProof,
): Promise<void> {
  const file = join(from, 'data.mdb');
  if ((await hashOfFile(file)) !== proof.fileHash) throw damaged(file);
  await rm(to, { recursive: true, force: true });
  await mkdir(to, { recursive: true });
  await pipeline(createReadStream(file), createWriteStream(join(to, 'data.mdb'), { flush: true }));
  const { contentHash } = await proveEnvironment(to);
  if (contentHash !== proof.contentHash) throw damaged(to);
}

/** The log last: without it the directory is no engine's yet. */
async function putInPlace({ environments }: Manifest, into: string): Promise<UnitOutcome> {
  const unfinished = join(into, UNFINISHED);
  const waiting = new Set(await environmentsBelow(unfinished));
  for (const name of Object.keys(environments).toSorted(
    (a, b) => Number(a === 'log') - Number(b === 'log'),
  )) {
    if (!waiting.has(name)) continue;
    await mkdir(dirname(join(into, name)), { recursive: true });
    await rename(join(unfinished, name), join(into, name));
  }
  await rm(unfinished, { recursive: true, force: true });
  return { done: 0 };
}

async function manifestOf(from: string): Promise<Manifest> {
  let manifest: Partial<Manifest>;
  try {
    manifest = await readJson<Partial<Manifest>>(join(from, MANIFEST));
  } catch (error) {
    throw new FatalError(
      `${from} holds no finished backup (${messageOf(error)}): give the directory that \`tidemark backup\` filled, and run that to its end first`,
      { code: 'BACKUP_UNFINISHED', cause: error, context: { directory: from } },
    );
  }
  if (manifest.format === 1) return manifest as Manifest;
  throw new FatalError(
    `the backup in ${from} has format ${manifest.format}, this version reads 1: use the version that made it`,
    { code: 'BACKUP_UNFINISHED', context: { directory: from } },
  );
}

const damaged = (path: string): FatalError =>
  new FatalError(`${path} is not what was backed up: it is damaged; use another backup`, {
    code: 'BACKUP_DAMAGED',
    context: { path },
  });

/** A directory may hold what begins with a dot: a job's own state. */
async function refuseUsed(directory: string, code: string, why: string): Promise<void> {
  const used = (await namesIn(directory)).filter((name) => !name.startsWith('.'));
  if (used.length === 0) return;
  throw new FatalError(`${directory} holds ${used.slice(0, 3).join(', ')}: ${why}`, {
    code,
    context: { directory },
  });
}

async function namesIn(directory: string): Promise<readonly string[]> {
  try {
    return (await readdir(directory)).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw new FatalError(`${directory} can't be read: ${messageOf(error)}`, {
      code: 'DIRECTORY_UNUSABLE',
      cause: error,
      context: { directory },
    });
  }
}

/** Whole or not there, and on the disk when it resolves. */
async function writeJson(path: string, value: unknown): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const beside = `${path}.partial`;
  await writeFile(beside, `${JSON.stringify(value, undefined, 2)}\n`, { flush: true });
  await rename(beside, path);
}

const readJson = async <T>(path: string): Promise<T> =>
  JSON.parse(await readFile(path, 'utf8')) as T;

const sizeOf = (environment: string): Promise<number> => sizeOfFile(join(environment, 'data.mdb'));

async function sizeOfFile(path: string): Promise<number> {
  const file = await open(path, 'r');
  try {
    return (await file.stat()).size;
  } finally {
    await file.close();
  }
}
