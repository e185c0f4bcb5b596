/** A tiny row type and topology parts for this room's own tests; no product code imports it. */
import type { Aggregate } from './aggregate.ts';
import type { Codec } from './codec.ts';
import { numbersNamed } from './key-index.ts';
import { rowDecoder } from './row-decoder.ts';

/** Key, number, event time. */
export interface Reading {
  readonly k: string;
  readonly n: number;
  readonly t: number;
}

export const readingCodec: Codec<Reading> = {
  name: 'reading',
  createDecoder: () =>
    rowDecoder((text) => {
      const row = JSON.parse(text) as Reading;
      return { row, timestamp: row.t };
    }),
  encode: (row) => Buffer.from(JSON.stringify(row)),
};

/** The numbers of a window in order of arrival. */
export const numbers: Aggregate<number[]> = {
  name: 'numbers',
  create: () => [],
  adder: (batch) => {
    const n = numbersNamed(batch, 'n');
    return (state, i) => void state.push(n[i] as number);
  },
  merge: (into, from) => void into.push(...from),
  encode: (state) => Buffer.from(JSON.stringify(state)),
  decode: (bytes) => JSON.parse(bytes.toString()) as number[],
};

/** `a1@10 a2@20` → readings of key a, numbers 1 and 2, at 10 and 20. */
export function readings(drawn: string): { key: string; value: Reading }[] {
  return drawn
    .trim()
    .split(/\s+/)
    .map((word) => {
      const [, k = '', n = '', t = ''] = /^([a-z]+)(-?\d+)@(-?\d+)$/.exec(word) ?? [];
      return { key: k, value: { k, n: Number(n), t: Number(t) } };
    });
}
