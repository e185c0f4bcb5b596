import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BytesWriter } from '../bytes.ts';
import { Peaks } from './peaks.ts';

test('a level passes when it is above all of the rows before it', () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat({ max: 5 }), { maxLength: 80 }),
      fc.integer({ min: 1, max: 9 }),
      (levels, rows) => {
        const peaks = new Peaks(rows);
        for (const [i, level] of levels.entries()) {
          const before = Math.max(0, ...levels.slice(Math.max(0, i - rows), i));
          expect(peaks.push(level)).toBe(level > before ? level : 0);
        }
        const writer = new BytesWriter(peaks.bytesMax);
        peaks.write(writer);
        expect(writer.bytes().length).toBeLessThanOrEqual(peaks.bytesMax);
      },
    ),
  );
});
