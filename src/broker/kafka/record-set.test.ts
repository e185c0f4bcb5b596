import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeBatch } from './record-batch-encode.ts';
import { RecordQueue } from './record-queue.ts';
import { type AbortedTransaction, openRecordSet, openRuns } from './record-set.ts';

/** A record of a producer's transaction, or the marker that ends it. */
type Step =
  | { readonly producer: number; readonly what: 'plain' | 'transactional'; readonly many: number }
  | { readonly producer: number; readonly what: 'abort' | 'commit' };

/** A log in the broker's format, with what a read-committed reader must and must not see. */
async function logOf(steps: readonly Step[]) {
  const parts: Buffer[] = [];
  const aborted: AbortedTransaction[] = [];
  const open = new Map<number, { firstOffset: number; offsets: number[] }>();
  const visible = new Set<number>();
  let offset = 0;
  for (const step of steps) {
    const control = step.what === 'abort' || step.what === 'commit';
    const many = 'many' in step ? step.many : 1;
    const bytes = await encodeBatch(
      Array.from({ length: many }, () => ({
        // Of a marker: version 0, type 0 = abort or 1 = commit.
        key: control ? Buffer.from([0, 0, 0, step.what === 'commit' ? 1 : 0]) : null,
        value: Buffer.from('x'),
      })),
      {
        producerId: BigInt(step.producer),
        producerEpoch: 0,
        baseSequence: 0,
        transactional: step.what !== 'plain',
      },
      'none',
      1,
    );
    bytes.writeBigInt64BE(BigInt(offset), 0);
    if (control) bytes.writeInt16BE(bytes.readInt16BE(21) | 0x20, 21);
    parts.push(bytes);
    for (let i = 0; i < many; i++, offset++) {
      if (step.what === 'plain') visible.add(offset);
      else if (step.what === 'transactional') {
        const transaction = open.get(step.producer) ?? { firstOffset: offset, offsets: [] };
        transaction.offsets.push(offset);
        open.set(step.producer, transaction);
      } else {
        const transaction = open.get(step.producer);
        open.delete(step.producer);
        if (transaction === undefined) continue;
        if (step.what === 'abort') {
          aborted.push({ producerId: step.producer, firstOffset: transaction.firstOffset });
        } else for (const one of transaction.offsets) visible.add(one);
      }
    }
  }
  aborted.sort((a, b) => a.firstOffset - b.firstOffset);
  return { bytes: Buffer.concat(parts), parts, aborted, visible, open, end: offset };
}

async function offsetsSeen(bytes: Buffer, from: number, aborted: readonly AbortedTransaction[]) {
  const set = openRecordSet(bytes, from, aborted);
  const queue = new RecordQueue({ topic: 't', partition: 0 }, from);
  queue.push({ runs: await openRuns(bytes, set), nextOffset: set.nextOffset, release() {} });
  const seen: number[] = [];
  for (let batch = queue.take(0); batch !== null; batch = queue.take(0)) {
    seen.push(...batch.offsets.subarray(0, batch.count));
  }
  return { seen, nextOffset: set.nextOffset };
}

const t = (producer: number, many = 1): Step => ({ producer, what: 'transactional', many });
const plain = (producer: number, many = 1): Step => ({ producer, what: 'plain', many });
const abort = (producer: number): Step => ({ producer, what: 'abort' });
const commit = (producer: number): Step => ({ producer, what: 'commit' });

describe('read committed', () => {
  test.each<[string, Step[], number[]]>([
    ['an aborted transaction is not seen', [t(1), t(1), abort(1), plain(9)], [3]],
    ['a committed one is seen without its marker', [t(1), t(1), commit(1), plain(9)], [0, 1, 3]],
    [
      'what is beside an aborted one is seen',
      [t(1), plain(9), t(1), t(2), abort(1), commit(2)],
      [1, 3],
    ],
    [
      'two aborted ones that begin in one stretch are both left out',
      [t(1), t(2), t(3), abort(2), abort(1), commit(3)],
      [2],
    ],
    ['a producer may abort, then commit', [t(1), abort(1), t(1), commit(1)], [2]],
    [
      'a producer may commit, then abort',
      [t(1), commit(1), t(1), abort(1), t(1), commit(1)],
      [0, 4],
    ],
    [
      'a producer may abort again and again',
      [t(1), abort(1), t(1), abort(1), t(1), commit(1)],
      [4],
    ],
    ['a batch of many records is left out whole', [t(1, 50), abort(1), plain(9)], [51]],
  ])('%s', async (_title, steps, expected) => {
    const log = await logOf(steps);
    const { seen, nextOffset } = await offsetsSeen(log.bytes, 0, log.aborted);
    expect(seen).toEqual(expected);
    expect(nextOffset).toBe(log.end);
  });

  test('a stretch of only aborted records and markers still moves reading on', async () => {
    const log = await logOf([t(1, 3), abort(1), commit(2)]);
    expect(await offsetsSeen(log.bytes, 0, log.aborted)).toEqual({ seen: [], nextOffset: 5 });
  });

  test('any interleaving of transactions shows what was committed, from wherever reading begins', async () => {
    const producer = fc.integer({ min: 1, max: 4 });
    const step: fc.Arbitrary<Step> = fc.oneof(
      fc.record({
        producer,
        what: fc.constantFrom('transactional' as const),
        many: fc.integer({ min: 1, max: 3 }),
      }),
      fc.record({
        producer: fc.integer({ min: 5, max: 6 }),
        what: fc.constantFrom('plain' as const),
        many: fc.integer({ min: 1, max: 3 }),
      }),
      fc.record({ producer, what: fc.constantFrom('abort' as const, 'commit' as const) }),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 40 }),
        fc.nat(),
        fc.boolean(),
        async (steps, seed, backwards) => {
          const endings = [1, 2, 3, 4].map((p) => (backwards ? abort(5 - p) : commit(p)));
          const log = await logOf([...steps, ...endings]);
          // The broker answers from the batch that holds the offset asked for.
          const from = seed % log.end;
          let start = 0;
          let bytes = 0;
          for (const part of log.parts) {
            const last = Number(part.readBigInt64BE(0)) + part.readInt32BE(23);
            if (last >= from) break;
            start = last + 1;
            bytes += part.length;
          }
          expect(start).toBeLessThanOrEqual(from);
          // It names the aborted transactions that reach into what it sends.
          const reaching = log.aborted.filter(({ producerId, firstOffset }) => {
            let ended = -1;
            let at = 0;
            for (const part of log.parts) {
              const control = (part.readInt16BE(21) & 0x20) !== 0;
              if (control && at > firstOffset && Number(part.readBigInt64BE(43)) === producerId) {
                ended = at;
                break;
              }
              at = Number(part.readBigInt64BE(0)) + part.readInt32BE(23) + 1;
            }
            return ended >= start;
          });
          const { seen, nextOffset } = await offsetsSeen(log.bytes.subarray(bytes), from, reaching);
          expect(seen).toEqual([...log.visible].filter((o) => o >= from).sort((a, b) => a - b));
          expect(nextOffset).toBe(log.end);
        },
      ),
      { numRuns: 200 },
    );
  });
});
