import { stripVTControlCharacters } from 'node:util';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { LiveEntry } from '../api/index.ts';
import { type DemoView, renderDemo } from './demo-table.ts';

const entry = (id: string, p99: number, isFinal = false): LiveEntry => {
  const window = {
    window: { start: Date.UTC(2025, 8, 10, 11), end: Date.UTC(2025, 8, 10, 11, 5) },
    count: 31,
    sum: 40,
    min: 1,
    max: p99,
    mean: 1.234,
    stddev: 0.5,
    p50: 1,
    p95: 2,
    p99,
    final: isFinal,
  };
  return {
    id,
    network: 'testnet',
    open: isFinal ? null : window,
    closed: isFinal ? window : null,
    lastSlot: 356_797_361,
    movingAverage: null,
    asOf: { offset: 1, watermark: null },
  };
};

const view: DemoView = {
  url: 'http://127.0.0.1:8080',
  published: 500,
  total: 1_000,
  lag: 20,
  networks: [entry('testnet', 3)],
  validators: [entry('7Np41oeYqPefeNQEHSv1UDhYrehxin3NStELsSKCT4K2', 71, true), entry('short', 2)],
};

test('the picture shows networks, then validators, as columns', () => {
  expect(renderDemo(view, { width: 120, rowsMax: 5, colour: false }).join('\n')).toBe(
    `http://127.0.0.1:8080
500 of 1000 recorded votes published (50%), 20 to be read

networks
id       votes  mean   p50   p95   p99  average  last slot       window  state
testnet     31  1.23  1.00  2.00  3.00        -  356797361  11:00–11:05   open

validators, highest p99 first
id        votes  mean   p50   p95    p99  average  last slot       window  state
7Np41oeY     31  1.23  1.00  2.00  71.00        -  356797361  11:00–11:05  final
short        31  1.23  1.00  2.00   2.00        -  356797361  11:00–11:05   open`,
  );
});

test('colours mark the head and latencies over five slots, and take no room', () => {
  const style = { width: 120, rowsMax: 5 };
  const plain = renderDemo(view, { ...style, colour: false });
  const coloured = renderDemo(view, { ...style, colour: true });
  expect(coloured.map(stripVTControlCharacters)).toEqual(plain);
  expect(coloured.join('\n')).toContain('\x1b[31m71.00\x1b[39m');
  expect(coloured.join('\n')).not.toContain('\x1b[31m 2.00');
  expect(plain.join('')).not.toContain('\x1b');
});

test('no line is ever wider than the terminal', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 200 }),
      fc.array(fc.tuple(fc.string({ maxLength: 60 }), fc.double({ noNaN: false }))),
      fc.boolean(),
      (width, given, colour) => {
        const validators = given.map(([id, p99]) => entry(id, p99));
        const lines = renderDemo({ ...view, validators }, { width, rowsMax: 9, colour });
        for (const line of lines) {
          expect(stripVTControlCharacters(line).length).toBeLessThanOrEqual(width);
        }
        expect(lines.length).toBeLessThanOrEqual(18);
      },
    ),
  );
});

test('before any vote there are no rows', () => {
  const lines = renderDemo(
    { ...view, networks: [], validators: [] },
    { width: 80, rowsMax: 5, colour: false },
  );
  expect(lines.filter((line) => line === 'none yet')).toHaveLength(2);
});
