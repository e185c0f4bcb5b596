import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { open } from 'lmdb';
import { describe, expect, it } from 'vitest';
import {
  openTemporaryBroker,
  recordsIn,
  temporaryDirectory,
} from '../../../test/support/embedded-broker.ts';
import { ManualClock, silentLogger } from '../../runtime/index.ts';
import { openEmbeddedBroker } from './broker.ts';
import { copyEnvironment, environmentsBelow, hashOfFile, proveEnvironment } from './environment.ts';

const record = (value: string) => ({ key: 'k', value });

async function plainEnvironment(directory: string, name: string): Promise<string> {
  const path = join(directory, name);
  const table = open<string, [string, number]>({
    path,
    encoding: 'string',
    keyEncoding: 'ordered-binary',
  });
  for (let i = 0; i < 50; i++) await table.put(['5m', i], `rollup ${i}`);
  await table.close();
  return path;
}

describe('copies of environments', () => {
  it('lists the log first, then the others by name', async () => {
    const { directory } = await openTemporaryBroker();
    for (const name of ['store', 'annotations', 'deep/er']) await plainEnvironment(directory, name);
    expect(await environmentsBelow(directory)).toEqual(['log', 'annotations', 'deep/er', 'store']);
  });

  it('says which directory can not be read', async () => {
    const directory = join(await temporaryDirectory(), 'nowhere');
    await expect(environmentsBelow(directory)).rejects.toMatchObject({
      code: 'DIRECTORY_UNUSABLE',
      message: expect.stringContaining(directory),
    });
  });

  it('are a consistent cut of a log that is being written, and belong to nobody', async () => {
    const { broker, directory } = await openTemporaryBroker();
    await broker.createTopics([{ name: 'votes' }]);
    await broker.append('votes', [record('before')]);
    const to = join(await temporaryDirectory(), 'log');
    let writing = true;
    const writer = (async () => {
      for (let i = 0; writing; i++) await broker.append('votes', [record(`${i}`)]);
    })();
    const proof = await copyEnvironment(join(directory, 'log'), to);
    writing = false;
    await writer;

    expect(await proveEnvironment(to)).toEqual(proof);
    // The original still runs in this very process: a copied claim would shut the copy.
    const copy = await openEmbeddedBroker({
      directory: join(to, '..'),
      clock: new ManualClock(1_700_000_000_000),
      logger: silentLogger,
    });
    const copied = await recordsIn(copy, 'votes');
    await copy.close();
    const all = await recordsIn(broker, 'votes');
    expect(copied.length).toBeGreaterThan(0);
    expect(copied).toEqual(all.slice(0, copied.length));
  });

  it('have the original’s content, whether it keeps one table or many', async () => {
    const directory = await temporaryDirectory();
    const path = await plainEnvironment(directory, 'rollups');
    const original = await proveEnvironment(path);
    const proof = await copyEnvironment(path, join(directory, 'copy'));
    expect(proof.entries).toBe(50);
    expect(proof.contentHash).toBe(original.contentHash);
  });

  it('prove another content when one value differs', async () => {
    const directory = await temporaryDirectory();
    const path = await plainEnvironment(directory, 'rollups');
    const before = await proveEnvironment(path);
    const table = open<string, [string, number]>({
      path,
      encoding: 'string',
      keyEncoding: 'ordered-binary',
    });
    await table.put(['5m', 7], 'rollup 8');
    await table.close();
    const after = await proveEnvironment(path);
    expect(after.entries).toBe(before.entries);
    expect(after.contentHash).not.toBe(before.contentHash);
  });

  it('tell a flipped bit by the file’s hash', async () => {
    const directory = await temporaryDirectory();
    const path = await plainEnvironment(directory, 'rollups');
    const { fileHash } = await proveEnvironment(path);
    const file = join(path, 'data.mdb');
    const bytes = await readFile(file);
    bytes[bytes.length >> 1]! ^= 1;
    await writeFile(file, bytes);
    expect(await hashOfFile(file)).not.toBe(fileHash);
  });
});
