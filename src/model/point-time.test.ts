import { expect, test } from 'vitest';
import { fnv1a64, pointTimestampNs } from './point-time.ts';

const hex = (text: string) => {
  const { high, low } = fnv1a64(text);
  return high.toString(16).padStart(8, '0') + low.toString(16).padStart(8, '0');
};

test('the hash is FNV-1a 64: the vectors of its authors', () => {
  // draft-eastlake-fnv, appendix C.
  expect(hex('')).toBe('cbf29ce484222325');
  expect(hex('a')).toBe('af63dc4c8601ec8c');
  expect(hex('foobar')).toBe('85944171f73967e8');
});

test('text beyond ASCII is hashed as its UTF-8', () => {
  const reference = (text: string) => {
    let hash = 0xcbf29ce484222325n;
    for (const byte of Buffer.from(text)) {
      hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) % 2n ** 64n;
    }
    return hash.toString(16).padStart(16, '0');
  };
  for (const text of ['é', 'a😀b', 'voteAccount:312345678', '\u0000ÿ']) {
    expect(hex(text)).toBe(reference(text));
  }
});

test('the offset stays inside the millisecond and follows from the identity alone', () => {
  const identity = 'Vote111111111111111111111111111111111111111:312345678';
  expect(pointTimestampNs(1_732_147_200_123, identity)).toBe(1_732_147_200_123_894_693n);
  expect(pointTimestampNs(0, identity)).toBe(894_693n);
});

test('votes of one account for neighbouring slots stay apart as often as chance allows', () => {
  // 1,000 of 10^6 places: about 0.5 collisions expected; 6 or more have odds below 1 in 50,000.
  let collisions = 0;
  for (let account = 0; account < 20; account++) {
    const seen = new Set<bigint>();
    for (let slot = 0; slot < 1_000; slot++) {
      seen.add(pointTimestampNs(0, `account${account}:${312_000_000 + slot}`));
    }
    collisions = Math.max(collisions, 1_000 - seen.size);
  }
  expect(collisions).toBeLessThan(6);
});
