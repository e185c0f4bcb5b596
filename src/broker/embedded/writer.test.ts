import { expect, onTestFinished, test } from 'vitest';
import { temporaryDirectory } from '../../../test/support/embedded-broker.ts';
import { FatalError, RetriableError } from '../../model/index.ts';
import { silentLogger } from '../../runtime/index.ts';
import { f64 } from './keys.ts';
import type { Stage } from './stage.ts';
import { Storage, type Write } from './storage.ts';
import { Tail } from './tail.ts';
import { Writer, type WriterOptions } from './writer.ts';

/** A writer over a real storage whose writes are counted, may be held up, and may fail. */
async function openWriter(options: Partial<WriterOptions> = {}) {
  const storage = await Storage.open(await temporaryDirectory());
  onTestFinished(() => storage.close());
  const writes: number[] = [];
  const world = { fail: undefined as Error | undefined, used: 0, gate: Promise.resolve() };
  const writer = new Writer({
    tail: new Tail(),
    logger: silentLogger,
    queueBytesMax: 1_000_000,
    storageBytesMax: Number.POSITIVE_INFINITY,
    ...options,
    storage: {
      tables: storage.tables,
      usedBytes: () => world.used,
      write: async (list: readonly Write[]) => {
        await world.gate;
        if (world.fail) throw world.fail;
        writes.push(list.length);
        await storage.write(list);
      },
    },
  });
  const put = (name: string, bytes = 10, refusable = true) =>
    writer.run({
      bytes,
      refusable,
      stage: (stage: Stage) => stage.put(stage.tables.meta, Buffer.from(name), Buffer.from(name)),
    });
  const has = (name: string) => storage.tables.meta.get(Buffer.from(name)) !== undefined;
  return { storage, writer, writes, world, put, has };
}

test('what is asked in one turn, and while a write is under way, shares one write each', async () => {
  const { put, writes } = await openWriter();
  const first = Array.from({ length: 100 }, (_, i) => put(`a${i}`));
  await new Promise((resolve) => setImmediate(resolve));
  const second = Array.from({ length: 50 }, (_, i) => put(`b${i}`));
  await Promise.all([...first, ...second]);
  expect(writes).toEqual([100, 50]);
});

test('a refused operation costs only itself', async () => {
  const { writer, put, has } = await openWriter();
  const good = put('good');
  const bad = writer.run({
    bytes: 1,
    stage: () => {
      throw new FatalError('no', { code: 'NO' });
    },
  });
  const better = put('better');
  await expect(bad).rejects.toMatchObject({ code: 'NO' });
  await Promise.all([good, better]);
  expect([has('good'), has('better')]).toEqual([true, true]);
});

test('a failed write rejects all that were in it and changes nothing; the next goes through', async () => {
  const { writer, world, put, has } = await openWriter();
  world.fail = new RetriableError('disk full', { code: 'LOG_FULL' });
  const numbers = writer.run({ bytes: 1, stage: (stage) => stage.nextNumber('topic') });
  const results = await Promise.allSettled([put('a'), put('b'), numbers]);
  expect(results.map((result) => result.status)).toEqual(['rejected', 'rejected', 'rejected']);
  expect(writer.failure?.code).toBe('LOG_FULL');
  world.fail = undefined;
  await put('c');
  expect(writer.failure).toBeUndefined();
  expect([has('a'), has('b'), has('c')]).toEqual([false, false, true]);
  expect(await writer.run({ bytes: 1, stage: (stage) => stage.nextNumber('topic') })).toBe(1);
});

test('operations of one write see what earlier ones of it put', async () => {
  const { writer, storage } = await openWriter();
  const key = Buffer.from('shared');
  const read = () =>
    writer.run({
      bytes: 1,
      stage: (stage) => {
        const seen = stage.getShared(stage.tables.meta, key)?.readDoubleLE(0) ?? 0;
        stage.putShared(stage.tables.meta, key, f64(seen + 1));
        return seen;
      },
    });
  expect(await Promise.all([read(), read(), read()])).toEqual([0, 1, 2]);
  expect(await read()).toBe(3);
  expect(storage.tables.meta.get(key)?.readDoubleLE(0)).toBe(4);
});

test('a full queue refuses appends with LOG_BUSY and admits commits', async () => {
  const { put, world, has } = await openWriter({ queueBytesMax: 100 });
  let open = () => {};
  world.gate = new Promise((resolve) => {
    open = resolve;
  });
  const writing = put('first', 90);
  await new Promise((resolve) => setImmediate(resolve));
  // The first left the queue and is being written; this one fills it.
  const queued = put('second', 90);
  await expect(put('third', 20)).rejects.toMatchObject({ family: 'retriable', code: 'LOG_BUSY' });
  const commit = put('commit', 500, false);
  open();
  await Promise.all([writing, queued, commit]);
  expect([has('second'), has('third'), has('commit')]).toEqual([true, false, true]);
  await put('large alone', 5_000);
});

test('at storageBytesMax what adds is refused with LOG_FULL, what frees goes through', async () => {
  const { put, world, has } = await openWriter({ storageBytesMax: 1_000 });
  await put('fits', 400);
  world.used = 900;
  await expect(put('too much', 700)).rejects.toMatchObject({
    family: 'retriable',
    code: 'LOG_FULL',
  });
  await put('frees', 0);
  world.used = 100;
  await put('fits again', 700);
  expect([has('too much'), has('frees'), has('fits again')]).toEqual([false, true, true]);
});

test('closing writes what is queued and refuses what comes after', async () => {
  const { writer, put, has } = await openWriter();
  const last = put('last');
  await writer.close();
  await last;
  expect(has('last')).toBe(true);
  await expect(put('after')).rejects.toMatchObject({ code: 'LOG_CLOSED' });
});
