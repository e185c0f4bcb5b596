import fc from 'fast-check';
import { expect, onTestFinished, test } from 'vitest';
import { temporaryDirectory } from '../../../test/support/embedded-broker.ts';
import { RetriableError } from '../../model/index.ts';
import { silentLogger } from '../../runtime/index.ts';
import type { StateChange } from '../contract.ts';
import { decodeEntry, stateStart, u32 } from './keys.ts';
import { PackedEntries, packEntries, Redo } from './redo.ts';
import { Storage, type Write } from './storage.ts';
import { Tail } from './tail.ts';
import { Writer } from './writer.ts';

const STATE = 7;

/** One state in a storage of its own, whose writes are counted and fail on demand. */
async function openState() {
  const storage = await Storage.open(await temporaryDirectory());
  onTestFinished(() => storage.close());
  const { tables } = storage;
  const world = { failAfter: Number.POSITIVE_INFINITY, writes: [] as number[] };
  const writer = new Writer({
    tail: new Tail(),
    logger: silentLogger,
    queueBytesMax: 1_000_000,
    storageBytesMax: Number.POSITIVE_INFINITY,
    storage: {
      tables,
      usedBytes: () => 0,
      write: async (list: readonly Write[]) => {
        if (world.failAfter-- <= 0) throw new RetriableError('no', { code: 'LOG_WRITE_FAILED' });
        world.writes.push(list.length);
        await storage.write(list);
      },
    },
  });
  const open = () => new Redo({ tables, writer, state: STATE, assertOwned: () => {} });
  const commit = async (redo: Redo, changes: readonly StateChange[]) => {
    const packed = await redo.pack(changes);
    await writer.run({ bytes: 1, stage: (stage) => redo.stage(stage, packed) });
    redo.written(packed);
  };
  const entries = () =>
    new Map(
      [...tables.state.getRange({ start: stateStart(STATE), end: u32(STATE + 1) })].map(
        ({ key, value }) => {
          const entry = decodeEntry(key as Buffer, value);
          return [entry.key.toString('latin1'), entry.value.toString('latin1')] as const;
        },
      ),
    );
  const waiting = () => tables.redo.getKeysCount({ start: Buffer.from([0]) });
  return { world, open, commit, entries, waiting };
}

const bytes = (text: string) => Buffer.from(text, 'latin1');

test('changes come back from their packed form', () => {
  const change = fc.record({
    key: fc.uint8Array({ maxLength: 9 }).map((key) => Buffer.from(key)),
    value: fc.option(fc.uint8Array({ maxLength: 9 }).map((value) => Buffer.from(value))),
  });
  fc.assert(
    fc.property(fc.array(change), (changes) => {
      const packed = new PackedEntries(packEntries(changes, 0, changes.length));
      const places = Array.from({ length: packed.count }, (_, i) => i);
      expect(places.map((i) => packed.entry(i))).toEqual(changes);
      expect(places.map((i) => packed.keyText(i))).toEqual(
        changes.map(({ key }) => key.toString('latin1')),
      );
    }),
  );
});

test('after any epochs, folds, failures and owners a state holds the last change of each key', async () => {
  const key = fc.oneof(fc.constantFrom('a', 'b', 'c', ''), fc.constant('k'.repeat(3_000)));
  const changes = fc.array(fc.record({ key, value: fc.option(fc.string({ maxLength: 3 })) }));
  const step = fc.oneof(
    fc.record({ what: fc.constant('epoch' as const), changes }),
    fc.record({ what: fc.constant('fold' as const) }),
    // The process dies in the middle of a fold, another goes on.
    fc.record({ what: fc.constant('die' as const), writes: fc.nat(1) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
      const { world, open, commit, entries, waiting } = await openState();
      const expected = new Map<string, string>();
      let redo = open();
      for (const step of steps) {
        if (step.what === 'epoch') {
          await commit(
            redo,
            step.changes.map(({ key, value }) => ({
              key: bytes(key),
              value: value === null ? null : bytes(value),
            })),
          );
          for (const { key, value } of step.changes) {
            if (value === null) expected.delete(key);
            else expected.set(key, bytes(value).toString('latin1'));
          }
        } else if (step.what === 'fold') await redo.fold();
        else {
          world.failAfter = step.writes;
          await redo.fold().catch(() => {});
          world.failAfter = Number.POSITIVE_INFINITY;
          redo = open();
        }
      }
      await redo.fold();
      expect(entries()).toEqual(expected);
      expect(waiting()).toBe(0);
    }),
    { numRuns: 25 },
  );
});

const windows = (count: number, value: string) =>
  Array.from({ length: count }, (_, i) => ({ key: bytes(`window ${i}`), value: bytes(value) }));

test('10,000 changes of an epoch are a dozen puts, and are folded in small writes by themselves', async () => {
  const { world, open, commit, entries, waiting } = await openState();
  const redo = open();
  await commit(redo, windows(10_000, 'x'.repeat(200)));
  expect(world.writes).toEqual([10]);
  expect(entries().size).toBe(0);
  await commit(redo, windows(10_000, 'y'.repeat(300)));
  await expect.poll(waiting, { timeout: 30_000 }).toBe(0);
  expect(entries().get('window 9999')).toBe('y'.repeat(300));
  // Each key once, though it changed twice; the last one also removes what was packed.
  const [first = 0, second = 0, ...folded] = world.writes;
  expect(folded.reduce((sum, writes) => sum + writes)).toBe(10_000 + first + second);
  expect(Math.max(...world.writes)).toBeLessThan(600);
});

test('after a fold that failed no epoch goes on: the next owner finds all that was written', async () => {
  const { world, open, commit, entries } = await openState();
  const redo = open();
  await commit(redo, windows(1_500, 'old'));
  world.failAfter = 1;
  await expect(redo.fold()).rejects.toMatchObject({ code: 'LOG_WRITE_FAILED' });
  world.failAfter = Number.POSITIVE_INFINITY;
  await expect(commit(redo, windows(1, 'new'))).rejects.toMatchObject({ code: 'LOG_WRITE_FAILED' });
  const next = open();
  await commit(next, windows(2, 'newer'));
  await next.fold();
  expect(entries().size).toBe(1_500);
  expect(entries().get('window 1')).toBe('newer');
  expect(entries().get('window 2')).toBe('old');
});
