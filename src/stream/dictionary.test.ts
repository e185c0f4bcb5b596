import fc from 'fast-check';
import { expect, test } from 'vitest';
import { codePoint } from '../../test/support/code-point.ts';
import { ByteDictionary, viewOf } from './dictionary.ts';

const texts = fc.oneof(
  fc.string(),
  fc.string({ unit: codePoint }),
  fc.string({ minLength: 4, maxLength: 20 }).map((s) => `common-prefix-${s}`),
  fc.constantFrom('', 'a', 'ab', 'abcdefg', 'abcdefgh', 'abcdefghi', 'a"b', 'a\\b', '\0'.repeat(8)),
);

test('each distinct text has one number, counted from 0 in order of first sight', () => {
  fc.assert(
    fc.property(fc.array(texts, { maxLength: 400 }), (all) => {
      const dictionary = new ByteDictionary();
      const codes = all.map((text) => dictionary.intern(text));
      const distinct = [...new Set(all)];
      expect(dictionary.size).toBe(distinct.length);
      expect(codes).toEqual(all.map((text) => distinct.indexOf(text)));
      expect(codes.map((code) => dictionary.text(code))).toEqual(all);
      expect(codes).toEqual(all.map((text) => dictionary.codeOf(text)));
      expect(dictionary.codeOf('never interned at all')).toBe(-1);
    }),
  );
});

test('a text is matched in bytes exactly when JSON would read it as that text there', () => {
  fc.assert(
    fc.property(
      fc.array(texts, { minLength: 1, maxLength: 60 }),
      fc.array(fc.tuple(fc.nat(), texts, fc.boolean()), { maxLength: 60 }),
      (known, probes) => {
        const dictionary = new ByteDictionary();
        for (const text of known) dictionary.intern(text);
        for (const [at, stranger, familiar] of probes) {
          const text = familiar ? (known[at % known.length] as string) : stranger;
          const bytes = Buffer.from(`${text}","next":123456789`);
          const code = dictionary.match(viewOf(bytes), 0, bytes.length);
          if (code < 0) {
            expect(known.includes(text) && /^[\x20-\x21\x23-\x5b\x5d-\x7e]*$/.test(text)).toBe(
              false,
            );
          } else {
            expect(bytes.toString('utf8', 0, dictionary.lengthOf(code))).toBe(
              dictionary.text(code),
            );
            expect(bytes[dictionary.lengthOf(code)]).toBe(0x22);
          }
        }
      },
    ),
  );
});

test('nothing behind the end is read as part of a text', () => {
  const dictionary = new ByteDictionary();
  const code = dictionary.intern('mainnet-beta');
  const bytes = Buffer.from('mainnet-beta"');
  const source = viewOf(bytes);
  expect(dictionary.match(source, 0, bytes.length)).toBe(code);
  for (let end = 0; end < bytes.length; end++) expect(dictionary.match(source, 0, end)).toBe(-1);
});

test('ten thousand texts that begin alike are told apart', { tags: 'heavy' }, () => {
  const dictionary = new ByteDictionary();
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < 10_000; i++) expect(dictionary.intern(`validator-${i}`)).toBe(i);
  }
  expect(dictionary.byteLength).toBeGreaterThan(10_000 * 14);
});
