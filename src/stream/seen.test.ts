import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Seen } from './seen.ts';

const WITHIN_MS = 100;
const KEEP_MS = 250;

/** What Seen must do, with nothing to spare memory. */
class Model {
  readonly firsts: Map<string, number>;
  constructor(firsts: ReadonlyMap<string, number> = new Map()) {
    this.firsts = new Map(firsts);
  }
  firstTime(text: string, number: number, time: number, watermark: number): number {
    const id = `${text}/${number}`;
    const first = this.firsts.get(id);
    if (first !== undefined && watermark - first <= KEEP_MS && Math.abs(time - first) <= WITHIN_MS)
      return first;
    this.firsts.set(id, time);
    return Number.NaN;
  }
}

type Step =
  | { readonly kind: 'look'; readonly text: string; readonly number: number; readonly time: number }
  | { readonly kind: 'epoch' | 'crash' };

const identity = {
  text: fc.constantFrom('a', 'b', '', 'ü'),
  number: fc.oneof(
    { weight: 6, arbitrary: fc.integer({ min: 0, max: 12 }) },
    fc.constantFrom(-1, 0.5, 2 ** 31, 2 ** 40, 2 ** 53 - 1, -(2 ** 45)),
  ),
};

test('agrees with a memory of everything, epochs and crashes included', { tags: 'heavy' }, () => {
  const steps = fc.array(
    fc.oneof(
      {
        weight: 12,
        arbitrary: fc.record({
          kind: fc.constant('look' as const),
          ...identity,
          time: fc.integer({ min: -40, max: 5 }),
        }),
      },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant('epoch' as const) }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('crash' as const) }) },
    ),
    { maxLength: 300, size: 'max' },
  );
  fc.assert(
    fc.property(steps, (drawn: readonly Step[]) => {
      const stored = new Map<string, Buffer>();
      let seen = restoredFrom(stored);
      let model = new Model();
      let committed = { firsts: new Map<string, number>(), watermark: 0 };
      let watermark = 0;
      for (const [i, step] of drawn.entries()) {
        if (step.kind === 'look') {
          // Event time moves on by 2 ms a step, give or take.
          const time = i * 2 + step.time;
          watermark = Math.max(watermark, time);
          const found = seen.firstTime(seen.idOf(step.text), step.number, time, watermark);
          expect(found).toEqual(model.firstTime(step.text, step.number, time, watermark));
        } else if (step.kind === 'epoch') {
          seen.advance(watermark);
          drainInto(seen, stored);
          committed = { firsts: new Map(model.firsts), watermark };
        } else {
          seen = restoredFrom(stored);
          model = new Model(committed.firsts);
          watermark = committed.watermark;
        }
      }
    }),
    { numRuns: 300 },
  );
});

test('what was restored is what was drained, for numbers that count up and for any others', () => {
  const looks = fc.array(fc.record({ ...identity, step: fc.nat(3) }), { maxLength: 200 });
  fc.assert(
    fc.property(looks, fc.integer({ min: 1, max: 50 }), (drawn, epochLength) => {
      const stored = new Map<string, Buffer>();
      const seen = new Seen(1_000, 1_000_000);
      const firsts = new Map<string, number>();
      for (const [i, { text, number, step }] of drawn.entries()) {
        const counted = number + i * step;
        seen.firstTime(seen.idOf(text), counted, i, i);
        if (!firsts.has(`${text}/${counted}`)) firsts.set(`${text}/${counted}`, i);
        if (i % epochLength === 0) drainInto(seen, stored);
      }
      drainInto(seen, stored);
      const again = restoredFrom(stored, 1_000, 1_000_000);
      for (const [id, first] of firsts) {
        const [text = '', number] = id.split('/');
        expect(again.firstTime(again.idOf(text), Number(number), 0, 300)).toBe(first);
      }
    }),
  );
});

test('state that is past remembering is removed', () => {
  const stored = new Map<string, Buffer>();
  const seen = new Seen(WITHIN_MS, KEEP_MS);
  for (let epoch = 0; epoch < 100; epoch++) {
    for (let n = 0; n < 10; n++) {
      const time = epoch * 10 + n;
      seen.firstTime(seen.idOf('a'), time, time, time);
    }
    seen.advance(epoch * 10 + 9);
    drainInto(seen, stored);
  }
  // 25 epochs of segments are within 250 ms, and one text.
  expect(stored.size).toBeLessThanOrEqual(28);
});

test('ever new texts do not stay for ever', { tags: 'heavy' }, () => {
  const stored = new Map<string, Buffer>();
  const seen = new Seen(WITHIN_MS, KEEP_MS);
  let sizeMax = 0;
  for (let epoch = 0; epoch < 150; epoch++) {
    for (let n = 0; n < 2_000; n++)
      seen.firstTime(seen.idOf(`text ${epoch} ${n}`), 0, epoch * 100, epoch * 100);
    seen.advance(epoch * 100);
    drainInto(seen, stored);
    sizeMax = Math.max(sizeMax, stored.size);
  }
  expect(seen.generation).toBeGreaterThan(0);
  expect(sizeMax).toBeLessThan(130_000);
  const again = restoredFrom(stored);
  expect(again.firstTime(again.idOf('text 149 7'), 0, 14_900, 14_900)).toBe(14_900);
  expect(again.firstTime(again.idOf('text 3 7'), 0, 300, 14_900)).toBeNaN();
});

function drainInto(seen: Seen, stored: Map<string, Buffer>): void {
  seen.drain((key, value) => {
    if (value === null) stored.delete(key.toString('hex'));
    else stored.set(key.toString('hex'), Buffer.from(value));
  });
}

function restoredFrom(
  stored: ReadonlyMap<string, Buffer>,
  withinMs = WITHIN_MS,
  keepMs = KEEP_MS,
): Seen {
  const seen = new Seen(withinMs, keepMs);
  for (const [key, value] of stored) seen.restore(Buffer.from(key, 'hex'), value);
  seen.restored();
  return seen;
}
