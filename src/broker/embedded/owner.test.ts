import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import {
  openTemporaryBroker,
  recordsIn,
  temporaryDirectory,
} from '../../../test/support/embedded-broker.ts';
import { FatalError } from '../../model/index.ts';
import { silentLogger, systemClock } from '../../runtime/index.ts';
import { openEmbeddedBroker } from './broker.ts';
import { readOwner } from './owner.ts';
import { Storage } from './storage.ts';

const open = (directory: string) =>
  openEmbeddedBroker({ directory, clock: systemClock, logger: silentLogger });

/** Another process that opens the directory, announces a port and waits to be killed. */
async function otherEngine(directory: string, port: number) {
  const code = `
    import { openEmbeddedBroker } from ${JSON.stringify(new URL('./broker.ts', import.meta.url).href)};
    import { silentLogger, systemClock } from ${JSON.stringify(new URL('../../runtime/index.ts', import.meta.url).href)};
    const broker = await openEmbeddedBroker({ directory: ${JSON.stringify(directory)}, clock: systemClock, logger: silentLogger });
    await broker.createTopics([{ name: 'kept' }]);
    await broker.append('kept', [{ key: null, value: 'by the other' }]);
    broker.announcePort(${port});
    console.log('ready');
    setInterval(() => {}, 1000);
  `;
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => {
    child.kill('SIGKILL');
  });
  await once(child.stdout, 'data');
  return child;
}

test('a second process is refused, told who runs, on which port, and what to do; a killed one gives way', {
  tags: 'heavy',
  timeout: 30_000,
}, async () => {
  const directory = await temporaryDirectory();
  const other = await otherEngine(directory, 18_080);
  const refusal = await open(directory).catch((error) => error);
  expect(refusal).toBeInstanceOf(FatalError);
  expect(refusal.code).toBe('DIRECTORY_IN_USE');
  expect(refusal.message).toContain(`process ${other.pid}`);
  expect(refusal.message).toContain('port 18080');
  expect(refusal.message).toContain(`kill ${other.pid}`);
  expect(refusal.context).toMatchObject({ pid: other.pid, port: 18_080 });
  expect(await readOwner(directory)).toMatchObject({ pid: other.pid, port: 18_080 });

  other.kill('SIGKILL');
  await once(other, 'exit');
  expect(await readOwner(directory)).toBeUndefined();
  const broker = await open(directory);
  expect(await broker.describeTopics(['kept'])).toMatchObject([
    { partitions: [{ nextOffset: 1 }] },
  ]);
  await broker.close();
});

test('of several processes that start at once, one gets the directory', {
  tags: 'heavy',
  timeout: 60_000,
}, async () => {
  const directory = await temporaryDirectory();
  const code = `
    import { openEmbeddedBroker } from ${JSON.stringify(new URL('./broker.ts', import.meta.url).href)};
    import { silentLogger, systemClock } from ${JSON.stringify(new URL('../../runtime/index.ts', import.meta.url).href)};
    await openEmbeddedBroker({ directory: ${JSON.stringify(directory)}, clock: systemClock, logger: silentLogger })
      .then(() => console.log('opened'), (error) => console.log(error.code));
    setInterval(() => {}, 1000);
  `;
  const children = Array.from({ length: 4 }, () =>
    spawn(process.execPath, ['--input-type=module', '-e', code], {
      stdio: ['ignore', 'pipe', 'inherit'],
    }),
  );
  onTestFinished(() => {
    for (const child of children) child.kill('SIGKILL');
  });
  const said = await Promise.all(
    children.map(async (child) => String((await once(child.stdout, 'data'))[0]).trim()),
  );
  expect(said.sort()).toEqual([
    'DIRECTORY_IN_USE',
    'DIRECTORY_IN_USE',
    'DIRECTORY_IN_USE',
    'opened',
  ]);
});

test('the same process is refused a second broker on one directory, until the first is closed', async () => {
  const { directory, broker, reopen } = await openTemporaryBroker();
  await expect(open(directory)).rejects.toMatchObject({
    code: 'DIRECTORY_IN_USE',
    message: expect.stringContaining('this process already'),
  });
  await broker.check();
  await reopen();
});

test('a claim by a pid that now belongs to another process is stale', async () => {
  const { directory, broker } = await openTemporaryBroker();
  broker.announcePort(1);
  const file = join(directory, 'engine.json');
  const claim = JSON.parse(await readFile(file, 'utf8'));
  expect(await readOwner(directory)).toEqual({
    pid: process.pid,
    startedAt: claim.startedAt,
    port: 1,
  });
  await writeFile(file, JSON.stringify({ ...claim, pid: 1 }));
  expect(await readOwner(directory)).toBeUndefined();
});

test('a closed broker leaves no owner, and half a file is no owner', async () => {
  const { directory, broker } = await openTemporaryBroker();
  await broker.close();
  expect(await readOwner(directory)).toBeUndefined();
  await writeFile(join(directory, 'engine.json'), '{"pid":');
  expect(await readOwner(directory)).toBeUndefined();
});

test('a directory that can not be made is refused with DIRECTORY_UNUSABLE', async () => {
  const directory = await temporaryDirectory();
  await writeFile(join(directory, 'file'), '');
  await expect(open(join(directory, 'file', 'below'))).rejects.toMatchObject({
    family: 'fatal',
    code: 'DIRECTORY_UNUSABLE',
  });
});

test('an engine whose directory was taken over writes nothing any more', async () => {
  const { directory, broker, reopen } = await openTemporaryBroker();
  await broker.createTopics([{ name: 't' }]);
  await broker.append('t', [{ key: null, value: 'mine' }]);
  // As another container would, which does not see this process and takes the claim for stale.
  const other = await Storage.open(directory);
  other.claim((present) => {
    expect(JSON.parse(String(present))).toMatchObject({ pid: process.pid });
    return Buffer.from('{"pid":4194999,"startedAt":"","incarnation":"gone"}');
  });
  await expect(broker.append('t', [{ key: null, value: 'zombie' }])).rejects.toMatchObject({
    code: 'FENCED',
  });
  await expect(broker.check()).rejects.toMatchObject({ code: 'FENCED' });
  expect((await broker.describeTopics())[0]?.partitions[0]?.nextOffset).toBe(1);
  await other.close();
  const again = await reopen();
  expect(await recordsIn(again, 't')).toEqual([{ offset: 0, key: null, value: 'mine' }]);
});
