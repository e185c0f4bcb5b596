import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BytesReader, BytesWriter } from '../bytes.ts';
import { TrailingWindow } from './trailing-window.ts';

const values = fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { maxLength: 60 });

test('mean and spread are those of the last values', () => {
  fc.assert(
    fc.property(values, fc.integer({ min: 1, max: 12 }), (all, size) => {
      const window = new TrailingWindow(size);
      for (const [i, x] of all.entries()) {
        expect(window.push(x)).toBe(i < size ? undefined : all[i - size]);
        const last = all.slice(Math.max(0, i + 1 - size), i + 1);
        expect([...window.values()]).toEqual(last);
        const mean = last.reduce((sum, y) => sum + y, 0) / last.length;
        const square = last.reduce((sum, y) => sum + (y - mean) ** 2, 0) / last.length;
        expect(window.mean).toBeCloseTo(mean, 6);
        // Of squares of 1e6, sixteen digits are kept.
        expect(window.stddev).toBeCloseTo(Math.sqrt(square), 0);
      }
    }),
  );
});

test('large values keep the digits of their small spread, for any number of rounds', () => {
  const window = new TrailingWindow(10);
  for (let i = 0; i < 100_003; i++) window.push(1e9 + (i % 2));
  expect(window.mean).toBeCloseTo(1e9 + 0.5, 6);
  expect(window.stddev).toBeCloseTo(0.5, 9);
});

test('a torn window is refused', () => {
  const writer = new BytesWriter(100);
  writer.varint(3);
  writer.varint(2);
  for (let i = 0; i < 6; i++) writer.f64(0);
  const reader = new BytesReader(writer.bytes(), 'detector');
  expect(() => TrailingWindow.read(reader, 5)).toThrow('its window is torn');
});
