import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { mulberry32 } from '../../../test/support/mulberry32.ts';
import { createDetector, type DetectorName, detectorNames, restoreDetector } from './index.ts';

const MINUTE = 60_000;
const DAY_ROWS = 288;
const start = Date.UTC(2026, 0, 5);

/** Rows of five minutes that reach `alarm`. */
const alarms = (name: DetectorName, values: readonly number[], alarm = 0.5) => {
  const detector = createDetector(name);
  return values.flatMap((value, i) =>
    detector.push(start + i * 5 * MINUTE, value) >= alarm ? [i] : [],
  );
};
/** Sum of four even numbers, nearly normal: mean 20, σ about 2.3. */
const noise = (count: number, seed = 1) => {
  const share = mulberry32(seed);
  return Array.from({ length: count }, () => 12 + 4 * (share() + share() + share() + share()));
};
/** Busy from 8 to 18 h, by noise of its own. */
const daily = (days: number, seed = 1) =>
  noise(days * DAY_ROWS, seed).map((x, i) => {
    const hour = Math.floor((i % DAY_ROWS) / 12);
    return hour >= 8 && hour < 18 ? x + 60 : x;
  });

describe.each(detectorNames)('%s', (name) => {
  test('scores from 0 to 1, and goes on from its bytes as if it had never stopped', {
    tags: 'heavy',
  }, () => {
    const value = fc.oneof(
      fc.integer({ min: -3, max: 3 }),
      fc.double({ min: -1e9, max: 1e9, noNaN: true }),
    );
    fc.assert(
      fc.property(
        fc.array(value, { minLength: 1, maxLength: 40 }),
        fc.integer({ min: 1, max: 5_000_000 }),
        fc.nat({ max: 2_500 }),
        (cycle, stepMs, cut) => {
          const whole = createDetector(name);
          let restored = createDetector(name);
          for (let i = 0; i < 2_500; i++) {
            if (i === cut) restored = restoreDetector(name, restored.toBytes());
            const x = cycle[(i * i) % cycle.length]!;
            const score = whole.push(i * stepMs, x);
            expect(score >= 0 && score <= 1).toBe(true);
            expect(restored.push(i * stepMs, x)).toBe(score);
          }
          expect(restored.toBytes().equals(whole.toBytes())).toBe(true);
        },
      ),
      { numRuns: 30 },
    );
  });

  test('is silent about what never changes', () => {
    expect(alarms(name, new Array(3_000).fill(4.2), 1e-9)).toEqual([]);
  });

  test('keeps little state, however much it saw', () => {
    const detector = createDetector(name);
    for (const [i, x] of daily(40).entries()) detector.push(start + i * 5 * MINUTE, x);
    expect(detector.toBytes().length).toBeLessThan(9_000);
  });

  test('refuses what is no number and is unchanged', () => {
    const detector = createDetector(name);
    for (const [i, x] of noise(500).entries()) detector.push(start + i, x);
    const before = detector.toBytes();
    for (const [time, value] of [
      [start, Number.NaN],
      [start, Number.POSITIVE_INFINITY],
      [Number.NaN, 1],
    ] as const) {
      expect(() => detector.push(time, value)).toThrow("a detector can't judge");
    }
    expect(detector.toBytes()).toEqual(before);
  });

  test('refuses bytes that are not its own', () => {
    const detector = createDetector(name);
    for (const [i, x] of noise(100).entries()) detector.push(start + i, x);
    const bytes = detector.toBytes();
    const wrong = [bytes.subarray(0, -1), Buffer.from([9, ...bytes.subarray(1)]), Buffer.alloc(0)];
    for (const each of wrong) {
      expect(() => restoreDetector(name, each)).toThrow('a stored detector');
    }
  });
});

test('z-score tells standard deviations from the mean of the rows before: 2 σ alarm', () => {
  const detector = createDetector('z-score');
  for (let i = 0; i < 1_000; i++) detector.push(i, i % 2 === 0 ? 9 : 11);
  const scores = [12, 13, 10].map((x) =>
    restoreDetector('z-score', detector.toBytes()).push(1_000, x),
  );
  expect(scores[0]).toBeCloseTo(0.5, 12);
  expect(scores[1]).toBeCloseTo(3 / (3 + 2), 12);
  expect(scores[2]).toBe(0);
});

test('robust measures by the median deviation, or by the mean one where that is larger', {
  tags: 'heavy',
}, () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 40 }), { minLength: 30, maxLength: 60 }),
      fc.integer({ min: -50, max: 90 }),
      (values, x) => {
        const detector = createDetector('robust');
        // The first round is pushed out of the window by the second.
        for (let i = 0; i < 1_000; i++) detector.push(i, 1_000 * i);
        const window = Array.from({ length: 1_000 }, (_, i) => values[i % values.length]!);
        for (const each of window) detector.push(0, each);
        const median = (all: number[]) => {
          const sorted = all.toSorted((a, b) => a - b);
          return (sorted[499]! + sorted[500]!) / 2;
        };
        const middle = median(window);
        const deviations = window.map((each) => Math.abs(each - middle)).sort((a, b) => a - b);
        const mean = deviations.reduce((sum, each) => sum + each, 0) / 1_000;
        // The smallest distance that 501 values keep.
        const scale = Math.max(1.482602218505602 * deviations[500]!, 1.2533141373155 * mean);
        const strength = Math.abs(x - middle) / scale;
        const expected = x === middle ? 0 : scale === 0 ? 1 : strength / (strength + 3.5);
        expect(detector.push(0, x)).toBeCloseTo(expected, 9);
      },
    ),
    { numRuns: 60 },
  );
});

test('seasonal misses the busy hours when they do not come; z-score does not', () => {
  const values = daily(14);
  const quiet = noise(DAY_ROWS, 2);
  const morning = 13 * DAY_ROWS + 8 * 12;
  for (let i = 0; i < 60; i++) values[morning + i] = quiet[i]!;
  // Noise alone alarms at 3 σ now and then, but never so loudly.
  expect(alarms('seasonal', values, 0.75).filter((row) => row >= 5 * DAY_ROWS)[0]).toBe(morning);
  const zScores = alarms('z-score', values).filter((row) => row >= morning && row < morning + 60);
  expect(zScores).toEqual([]);
});

test('seasonal keeps the time of day over gaps of hours and days', () => {
  const values = daily(20);
  const detector = createDetector('seasonal');
  const isAlarm = values.map((value, i) => {
    const day = i / DAY_ROWS;
    const isGap = (day > 6.3 && day < 6.9) || (day > 9.2 && day < 14.6);
    return !isGap && detector.push(start + i * 5 * MINUTE, value) >= 0.6;
  });
  expect(isAlarm.filter(Boolean)).toEqual([]);
});

describe('records', () => {
  test.each([1, 2, 3, 4, 5])(
    'alarms in at most 1 of 1,000 rows of noise and of days, and never loudly (seed %d)',
    (seed) => {
      for (const values of [noise(28 * DAY_ROWS, seed), daily(28, seed)]) {
        expect(alarms('records', values).length).toBeLessThan(values.length / 1_000);
        expect(alarms('records', values, 0.55)).toEqual([]);
      }
    },
  );

  test('tells a spike, a new level and a slow leak once or twice, when they begin', () => {
    const at = 10 * DAY_ROWS + 50;
    const spike = noise(20 * DAY_ROWS);
    spike[at] = 60;
    expect(alarms('records', spike, 0.55)).toEqual([at]);
    const level = noise(20 * DAY_ROWS).map((x, i) => (i < at ? x : x + 9));
    const told = alarms('records', level, 0.55);
    expect(told[0]).toBeGreaterThanOrEqual(at);
    expect(told[0]).toBeLessThan(at + 24);
    expect(told.length).toBeLessThan(6);
    const leak = noise(12 * DAY_ROWS).map((x, i) => x + Math.max(0, i - at) / 50);
    expect(alarms('records', leak, 0.55)[0]).toBeGreaterThan(at);
    expect(alarms('records', leak, 0.55)[0]).toBeLessThan(at + 300);
  });

  test('misses the busy hours when they do not come', () => {
    const values = daily(14);
    const quiet = noise(DAY_ROWS, 2);
    const morning = 10 * DAY_ROWS + 8 * 12;
    for (let i = 0; i < 120; i++) values[morning + i] = quiet[i]!;
    const told = alarms('records', values, 0.55);
    expect(told[0]).toBeGreaterThanOrEqual(morning);
    expect(told[0]).toBeLessThan(morning + 3);
  });
});
