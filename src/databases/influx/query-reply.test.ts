import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DocumentSplitter } from './msgpack.ts';
import { type ReplySeries, readPart } from './query-reply.ts';

/**
 * One chunk in the form in which 1.6.7 and 2.7.12 send it, for `SELECT i::field, f::field, s::field, t::tag FROM m`:
 * time 1700000000000000001, i=9007199254740993, f=5.5, s="hi", t absent.
 */
const recorded = Buffer.from(
  '81a7726573756c74739182ac73746174656d656e745f696400a67365726965739183a46e616d65a16da7636f6c756d6e7395a474696d65a169a166a173a174a676616c7565739195d317979cfe362a0001d30020000000000001cb4016000000000000a26869c0',
  'hex',
);
/** A document that comes in many chunks: a text of 5,000 bytes. */
const long = Buffer.concat([Buffer.from('81a178da1388', 'hex'), Buffer.alloc(5_000, 0x81)]);
const FIELDS = 3;

describe('a reply', () => {
  it('gives integers of 64 bits exactly, floats as numbers, and what is missing as null', () => {
    const { series, error, partial } = readPart(recorded, FIELDS);
    expect({ error, partial }).toEqual({ error: undefined, partial: false });
    expect(series).toMatchObject([{ name: 'm', columns: ['time', 'i', 'f', 's', 't'] }]);
    expect([...(series[0]?.rows ?? [])]).toEqual([
      [1_700_000_000_000_000_001n, 9_007_199_254_740_993n, 5.5, 'hi', null],
    ]);
    expect(series[0]?.rows.timeNs(0)).toBe(1_700_000_000_000_000_001n);
  });

  it('gives a point a checksum that any byte of its time, fields and tags changes', () => {
    const [{ rows }] = readPart(recorded, FIELDS).series as [ReplySeries];
    const { bytes, bounds } = rows;
    const whole = rows.checksum(0);
    expect(rows.sum()).toBe(whole);
    for (let at = bounds[0] as number; at < (bounds[2] as number); at++) {
      const kept = bytes[at] as number;
      for (let bit = 0; bit < 8; bit++) {
        bytes[at] = kept ^ (1 << bit);
        expect(rows.checksum(0)).not.toBe(whole);
      }
      bytes[at] = kept;
    }
  });

  it('is cut into its documents wherever the network cut it', () => {
    const stream = Buffer.concat([recorded, long, recorded]);
    fc.assert(
      fc.property(fc.array(fc.nat(stream.length), { maxLength: 8 }), (cuts) => {
        const splitter = new DocumentSplitter();
        const found: string[] = [];
        const bounds = [0, ...cuts.sort((a, b) => a - b), stream.length];
        for (let i = 1; i < bounds.length; i++) {
          for (const document of splitter.push(stream.subarray(bounds[i - 1], bounds[i]))) {
            found.push(document.toString('hex'));
          }
        }
        expect(found).toEqual([recorded, long, recorded].map((d) => d.toString('hex')));
        expect(splitter.isWhole).toBe(true);
      }),
    );
  });

  it('that ends in the middle is not whole', () => {
    const splitter = new DocumentSplitter();
    expect(splitter.push(recorded.subarray(0, 100))).toEqual([]);
    expect(splitter.isWhole).toBe(false);
  });
});
