import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LineSplitter } from './lines.ts';

test('however the bytes are cut, the lines are the same', () => {
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom(0x0a, 0x61, 0xc3, 0xa4), { maxLength: 60 }),
      fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 30 }),
      (bytes, cuts) => {
        const whole = Buffer.from(bytes);
        const splitter = new LineSplitter(100);
        const out: Buffer[] = [];
        let lines = 0;
        let at = 0;
        for (const size of [...cuts, whole.length]) {
          const found = splitter.push(whole.subarray(at, at + size));
          at += size;
          if (found === undefined) continue;
          expect(found.bytes.at(-1)).toBe(0x0a);
          out.push(found.bytes);
          lines += found.count;
        }
        const last = splitter.end();
        if (last !== undefined) {
          out.push(last.bytes);
          lines += last.count;
        }
        const ended = whole.length === 0 || whole.at(-1) === 0x0a;
        expect(Buffer.concat(out)).toEqual(ended ? whole : Buffer.from([...whole, 0x0a]));
        expect(lines).toBe(Buffer.concat(out).filter((byte) => byte === 0x0a).length);
      },
    ),
  );
});

test('a line that never ends is refused before it fills memory', () => {
  const splitter = new LineSplitter(10);
  splitter.push(Buffer.from('12345'));
  expect(() => splitter.push(Buffer.from('678901'))).toThrow('longer than 10 bytes');
});
