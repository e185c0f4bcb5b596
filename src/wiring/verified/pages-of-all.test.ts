import fc from 'fast-check';
import { expect, test } from 'vitest';
import { pagesOfAll } from './pages-of-all.ts';

test('every page of every reading comes once, each reading in its order, and no more are open than may be', async () => {
  const readings = fc.array(fc.array(fc.nat(3), { maxLength: 6 }), { maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(readings, fc.integer({ min: 1, max: 5 }), async (given, atOnce) => {
      let open = 0;
      let openMax = 0;
      const all = given.map(
        (delays, reading) =>
          async function* () {
            openMax = Math.max(openMax, ++open);
            for (const [page, turns] of delays.entries()) {
              for (let turn = 0; turn < turns; turn++) await Promise.resolve();
              yield [reading, page] as const;
            }
            open--;
          },
      );
      const found: (readonly [number, number])[] = [];
      for await (const page of pagesOfAll(all, atOnce)) found.push(page);
      const inOrder = found.toSorted(([a], [b]) => a - b);
      expect(inOrder).toEqual(given.flatMap((pages, n) => pages.map((_, page) => [n, page])));
      expect(openMax).toBeLessThanOrEqual(atOnce);
    }),
  );
});

test('a reading that fails ends all', async () => {
  const ended: string[] = [];
  const endless = async function* () {
    try {
      for (;;) yield 'page';
    } finally {
      ended.push('endless');
    }
  };
  const failing = async function* () {
    yield 'page';
    throw new Error('gone');
  };
  const read = async () => {
    for await (const _ of pagesOfAll([endless, failing], 2));
  };
  await expect(read()).rejects.toThrow('gone');
  expect(ended).toEqual(['endless']);
});
