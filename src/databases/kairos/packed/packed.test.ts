/** Packed points are the points: the bytes, and what a store holds after them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { DataPoint } from '../../../model/index.ts';
import { embeddedWideRows } from '../../embedded/index.ts';
import { KairosStore } from '../store.ts';
import { type DraftOptions, PointsDraft, recordOf } from './draft.ts';
import { decodeDelete, encodeDelete, pointsOf } from './format.ts';

let directory: string;
const stores: KairosStore[] = [];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tidemark-packed-'));
});
afterEach(async () => {
  await Promise.all(stores.splice(0).map((store) => store.close()));
  rmSync(directory, { recursive: true });
});

async function openStore(name: string): Promise<KairosStore> {
  const rows = embeddedWideRows({ dataDirectory: join(directory, name) });
  const store = new KairosStore({ rows, nonFinite: 'store' });
  stores.push(store);
  await store.connect();
  return store;
}

const draftOf = (options: Partial<DraftOptions> = {}) =>
  new PointsDraft({
    partitions: 1,
    partitionOf: () => 0,
    nowMs: () => 0,
    nonFinite: 'store',
    ...options,
  });

it('the example of the format is what the draft makes', () => {
  const draft = draftOf();
  draft.add({ metric: 'm', tags: { h: 'a' }, timestampMs: 1_000, value: 300n });
  const record = recordOf(draft.take());
  expect(record.toString('hex')).toBe(
    '01000000010000000000000100046d683d613a000000010000000000408f40d804',
  );
  expect(pointsOf(record)).toBe(1);
});

const point: fc.Arbitrary<DataPoint> = fc.record({
  metric: fc.constantFrom('m', 'm.é', 'a:b=c'),
  tags: fc.constantFrom({ h: 'a' }, { h: 'b', 'd:c': 'x=y' }, { z: '1', a: 'ü' }),
  timestampMs: fc.oneof(
    fc.integer({ min: -4_000_000_000, max: 4_000_000_000 }),
    fc.integer({ min: 0, max: 20 }),
    fc.maxSafeInteger().map((ms) => Math.trunc(ms / 4)),
  ),
  value: fc.oneof(
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    fc.integer().map(BigInt),
    fc.double(),
    fc.string(),
  ),
  ttlSeconds: fc.constantFrom(0, 600_000),
});

async function contentsOf(store: KairosStore): Promise<unknown[]> {
  const all: unknown[] = [];
  for (const metric of ['m', 'm.é', 'a:b=c']) {
    const query = { metric, fromMs: -Infinity, toMs: Infinity };
    for await (const page of store.readSeries(query)) all.push(...page);
  }
  return all;
}

it('a store holds the same after packed points as after the points, and is told what it refuses', {
  tags: 'heavy',
}, async () => {
  let run = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(point, { maxLength: 60 }), async (points) => {
      const [plain, packed] = [await openStore(`a${++run}`), await openStore(`b${run}`)];
      await plain.write(points);
      const draft = draftOf();
      for (const each of points) expect(draft.add(each)).toBeUndefined();
      const chunks = draft.take();
      const records = chunks.map((chunk) => recordOf([chunk]));
      expect(await packed.writePacked(records, points.length)).toEqual([]);
      expect(await contentsOf(packed)).toEqual(await contentsOf(plain));
    }),
    { numRuns: 15 },
  );
});

it('a draft cuts what is large into chunks that are each whole, and starts afresh after a reset', {
  tags: 'heavy',
}, async () => {
  const draft = draftOf();
  const tags = { h: 'a' };
  for (let i = 0; i < 30_000; i++) draft.add({ metric: 'm', tags, timestampMs: i, value: 1n });
  const chunks = draft.take();
  expect(chunks.length).toBeGreaterThan(1);
  expect(Math.max(...chunks.map(({ bytes }) => bytes.length))).toBeLessThan(140 * 1_024);
  expect(chunks.reduce((sum, { points }) => sum + points, 0)).toBe(30_000);
  // They are the caller's: the next request does not touch them.
  draft.reset();
  for (let i = 0; i < 30_000; i++) draft.add({ metric: 'n', tags, timestampMs: i, value: 2n });
  const store = await openStore('large');
  await store.writePacked(
    chunks.map((chunk) => recordOf([chunk])),
    30_000,
  );
  expect(await contentsOf(store)).toHaveLength(30_000);
  draft.reset();
  expect([draft.count, draft.take()]).toEqual([0, []]);
});

it('a damaged record is refused whole, by its place, and the others are stored', async () => {
  const draft = draftOf();
  draft.add({ metric: 'm', tags: { h: 'a' }, timestampMs: 5, value: 'text' });
  const good = recordOf(draft.take());
  const store = await openStore('damaged');
  for (let length = 0; length < good.length; length++) {
    const rejections = await store.writePacked([good.subarray(0, length), good], 2);
    // Only its head: no points, and nothing wrong with that.
    expect(rejections.map(({ index }) => index)).toEqual(length === 5 ? [] : [0]);
  }
  expect(await contentsOf(store)).toHaveLength(1);
});

it('a delete comes back as it went', () => {
  const request = {
    metric: 'm',
    startMs: -Infinity,
    endMs: 5,
    tags: new Map([['h', ['a', 'regex:b.*']]]),
    withName: false,
  };
  expect(decodeDelete(encodeDelete(request))).toEqual(request);
  expect(() => decodeDelete(Buffer.from([2, 1]))).toThrow(/holds no points/);
});

it('points of one metric go into the partition of its name', () => {
  const draft = draftOf({ partitions: 3, partitionOf: (metric) => metric.length % 3 });
  for (const metric of ['a', 'bb', 'ccc', 'bb'])
    draft.add({ metric, tags: { h: 'a' }, timestampMs: 1, value: 1n });
  expect(draft.take().map(({ partition, points }) => [partition, points])).toEqual([
    [0, 1],
    [1, 1],
    [2, 2],
  ]);
});
