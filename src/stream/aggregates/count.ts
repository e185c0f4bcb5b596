/** How many records a window has. */
import type { Aggregate } from '../aggregate.ts';

export interface Count {
  count: number;
}

/** State entry: count f64. */
export const count = (): Aggregate<Count> => ({
  name: 'count',
  create: () => ({ count: 0 }),
  adder: () => (state) => {
    state.count++;
  },
  merge: (into, from) => {
    into.count += from.count;
  },
  encode: (state) => {
    const bytes = Buffer.allocUnsafe(8);
    bytes.writeDoubleBE(state.count, 0);
    return bytes;
  },
  decode: (bytes) => ({ count: bytes.readDoubleBE(0) }),
});
