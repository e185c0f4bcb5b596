/** What the embedded log tells of itself: counted per write and per sweep, never per record. */
import { counter, gauge, histogram } from '../../runtime/index.ts';

const written = counter('broker_embedded_written_bytes_total', 'Bytes handed to the log.');
const writeSeconds = histogram(
  'broker_embedded_write_seconds',
  'Time of one write to the log, fsync included.',
  [],
  [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
);
const expired = counter(
  'broker_embedded_expired_bytes_total',
  'Bytes of blocks that retention deleted, as configured.',
  ['topic'],
);
const compacted = counter(
  'broker_embedded_compacted_records_total',
  'Records that compaction removed because a later one has their key.',
  ['topic'],
);
const used = gauge('broker_embedded_used_bytes', 'Bytes of log and state on disk.');

/** Starts timing one write; call the result when it is on disk. */
export function diskWritten(bytes: number): () => void {
  const start = process.hrtime.bigint();
  return () => {
    written.add({}, bytes);
    writeSeconds.observe({}, Number(process.hrtime.bigint() - start) / 1e9);
  };
}

export const bytesExpired = (topic: string, bytes: number): void => expired.add({ topic }, bytes);

export const recordsCompacted = (topic: string, count: number): void =>
  compacted.add({ topic }, count);

export const bytesUsed = (bytes: number): void => used.set({}, bytes);
