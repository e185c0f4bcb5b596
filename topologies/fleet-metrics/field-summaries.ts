/** What a window keeps of one host's readings of one kind: the distribution of each of their fields. */
import { Summary } from '../../src/stats/index.ts';
import type { Aggregate } from '../../src/stream/index.ts';
import type { MetricRow } from './system-metric.ts';

/** By field, in order of first sight. */
export type FieldSummaries = Map<string, Summary>;

/** State entry, per field: name length u16 · name · summary length u32 · summary. */
export const fieldSummaries: Aggregate<FieldSummaries> = {
  name: 'fieldSummaries',
  create: () => new Map(),
  adder: (batch) => (state, i) => {
    const { fields } = batch.row(i) as MetricRow;
    for (const field in fields) summaryOf(state, field).add(fields[field] as number);
  },
  merge: (into, from) => {
    for (const [field, summary] of from) summaryOf(into, field).merge(summary);
  },
  encode: (state) => {
    const parts: Uint8Array[] = [];
    for (const [field, summary] of state) {
      const name = Buffer.from(field);
      const bytes = summary.toBytes();
      const head = Buffer.allocUnsafe(2 + name.length + 4);
      head.writeUInt16BE(name.length, 0);
      head.set(name, 2);
      head.writeUInt32BE(bytes.length, 2 + name.length);
      parts.push(head, bytes);
    }
    return Buffer.concat(parts);
  },
  decode: (bytes) => {
    const state: FieldSummaries = new Map();
    for (let at = 0; at < bytes.length; ) {
      const nameEnd = at + 2 + bytes.readUInt16BE(at);
      const start = nameEnd + 4;
      const end = start + bytes.readUInt32BE(nameEnd);
      state.set(
        bytes.toString('utf8', at + 2, nameEnd),
        Summary.fromBytes(bytes.subarray(start, end)),
      );
      at = end;
    }
    return state;
  },
};

function summaryOf(state: FieldSummaries, field: string): Summary {
  let summary = state.get(field);
  if (summary === undefined) {
    summary = new Summary();
    state.set(field, summary);
  }
  return summary;
}
