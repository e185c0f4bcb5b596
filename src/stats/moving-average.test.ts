import { expect, test } from 'vitest';
import { ExponentialAverage, MovingAverage } from './moving-average.ts';

test('each of the last windows counts as much as it holds', () => {
  const average = new MovingAverage(2);
  expect(average.value).toBeNaN();
  expect(average.push({ sum: 10, count: 10 })).toBe(1);
  expect(average.push({ sum: 5, count: 1 })).toBe(15 / 11);
  expect(average.push({ sum: 4, count: 2 })).toBe(9 / 3);
  expect(average.push({ sum: 0, count: 0 })).toBe(4 / 2);
  expect(average.push({ sum: 0, count: 0 })).toBeNaN();
});

test('after many windows no rounding has added up', () => {
  const average = new MovingAverage(3);
  average.push({ sum: 1e17, count: 1 });
  for (let i = 0; i < 3; i++) average.push({ sum: 0.5, count: 1 });
  expect(average.value).toBe(0.5);
});

test('a restored moving average goes on as if it had never stopped', () => {
  const average = new MovingAverage(3);
  for (let i = 0; i < 5; i++) {
    const restored = MovingAverage.fromBytes(average.toBytes());
    expect(restored.windows).toBe(3);
    const window = { sum: i * 1.5, count: i + 1 };
    expect(restored.push(window)).toBe(average.push(window));
  }
  expect(average.toBytes().toString('hex')).toBe(
    '010303 0000000000000840 03 0000000000001240 04 0000000000001840 05'.replaceAll(' ', ''),
  );
});

test('the exponential average starts at the first value and moves by alpha', () => {
  const average = new ExponentialAverage(0.25);
  expect(average.value).toBeNaN();
  expect(average.push(8)).toBe(8);
  expect(average.push(4)).toBe(7);
  expect(average.push(7)).toBe(7);
  const restored = ExponentialAverage.fromBytes(average.toBytes());
  expect(restored.push(11)).toBe(average.push(11));
});

test('a restored exponential average that saw nothing still starts at its first value', () => {
  expect(ExponentialAverage.fromBytes(new ExponentialAverage(0.5).toBytes()).push(3)).toBe(3);
});

test.each([0, -1, 1.5, Number.NaN])('%s windows are refused', (windows) => {
  expect(() => new MovingAverage(windows)).toThrow(
    expect.objectContaining({ code: 'MOVING_AVERAGE_INVALID' }),
  );
});

test.each([0, 1.1, Number.NaN])('alpha %s is refused', (alpha) => {
  expect(() => new ExponentialAverage(alpha)).toThrow(
    expect.objectContaining({ code: 'MOVING_AVERAGE_INVALID' }),
  );
});

test.each(['', '02', '010000', '010102', '010201000000000000f03f'])(
  'bytes %s are DIGEST_CORRUPT',
  (hex) => {
    const bytes = Buffer.from(hex, 'hex');
    const corrupt = expect.objectContaining({ code: 'DIGEST_CORRUPT' });
    expect(() => MovingAverage.fromBytes(bytes)).toThrow(corrupt);
    expect(() => ExponentialAverage.fromBytes(bytes)).toThrow(corrupt);
  },
);
