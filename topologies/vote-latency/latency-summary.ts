/** What a window keeps of its votes: the distribution of latencies in slots, and the highest slot voted for. */
import { Summary } from '../../src/stats/index.ts';
import { type Aggregate, numbersNamed } from '../../src/stream/index.ts';

export class LatencySummary {
  readonly latency: Summary;
  lastSlot: number;

  constructor(latency = new Summary(), lastSlot = -1) {
    this.latency = latency;
    this.lastSlot = lastSlot;
  }
}

/** State entry: lastSlot f64 · summary bytes. */
export const latencySummary: Aggregate<LatencySummary> = {
  name: 'latencySummary',
  create: () => new LatencySummary(),
  adder: (batch) => {
    const landed = numbersNamed(batch, 'landedSlot');
    const voted = numbersNamed(batch, 'votedSlot');
    return (state, i) => {
      const slot = voted[i] as number;
      state.latency.add((landed[i] as number) - slot);
      if (slot > state.lastSlot) state.lastSlot = slot;
    };
  },
  merge: (into, from) => {
    into.latency.merge(from.latency);
    if (from.lastSlot > into.lastSlot) into.lastSlot = from.lastSlot;
  },
  encode: (state) => {
    const latency = state.latency.toBytes();
    const bytes = Buffer.allocUnsafe(8 + latency.length);
    bytes.writeDoubleBE(state.lastSlot, 0);
    bytes.set(latency, 8);
    return bytes;
  },
  decode: (bytes) =>
    new LatencySummary(Summary.fromBytes(bytes.subarray(8)), bytes.readDoubleBE(0)),
};
