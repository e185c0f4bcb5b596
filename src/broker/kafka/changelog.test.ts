import { describe, expect, test } from 'vitest';
import { decodeEpoch, encodeEpoch, META_KEY, stateKey } from './changelog.ts';

describe('changelog records', () => {
  const example = {
    group: 'g',
    offsets: [{ topic: 't', partition: 0, offset: 5 }],
    meta: Buffer.from('m'),
  };

  test('an epoch is written as the drawing says', () => {
    expect(encodeEpoch(example).toString('hex')).toBe(
      '01000000237b2267726f7570223a2267222c226f666673657473223a5b5b2274222c302c355d5d7d6d',
    );
  });

  test('reading an epoch undoes writing it', () => {
    expect(decodeEpoch(encodeEpoch(example))).toEqual(example);
  });

  test('an epoch of a newer version is refused', () => {
    const bytes = encodeEpoch(example);
    bytes[0] = 2;
    expect(() => decodeEpoch(bytes)).toThrowError(
      expect.objectContaining({ code: 'CHANGELOG_TOO_NEW' }),
    );
  });

  test('no key of an entry can be taken for the epoch record', () => {
    expect(stateKey(META_KEY).equals(META_KEY)).toBe(false);
    expect(stateKey(Buffer.alloc(0)).equals(META_KEY)).toBe(false);
  });
});
