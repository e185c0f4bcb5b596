/** What the Kafka broker counts. Called per batch or rarer, never per record. */
import { counter } from '../../runtime/index.ts';

const consumedRecords = counter('kafka_consumed_records_total', 'Records handed over', ['topic']);
const consumedBytes = counter('kafka_consumed_bytes_total', 'Bytes of records handed over', [
  'topic',
]);
const producedRecords = counter('kafka_produced_records_total', 'Records written', ['topic']);
const producedBytes = counter('kafka_produced_bytes_total', 'Packed bytes written', ['topic']);
const abortedBatches = counter(
  'kafka_aborted_batches_total',
  'Record batches left out because their transaction was aborted',
  ['topic'],
);
const skippedRecords = counter(
  'kafka_skipped_offsets_total',
  'Offsets that retention deleted before they were read',
  ['topic'],
);
const rebalances = counter('kafka_rebalances_total', 'Times a group was joined anew', ['group']);
const commits = counter('kafka_commits_total', 'Transactions by how they ended', ['outcome']);
const stalls = counter(
  'kafka_stalls_total',
  'Fetches restarted by the watchdog because records were there and none came',
  ['topic'],
);
const fetchFailures = counter('kafka_fetch_failures_total', 'Fetches that failed', ['code']);

export function recordsConsumed(topic: string, records: number, bytes: number): void {
  consumedRecords.add({ topic }, records);
  consumedBytes.add({ topic }, bytes);
}

export function recordsProduced(topic: string, records: number, bytes: number): void {
  producedRecords.add({ topic }, records);
  producedBytes.add({ topic }, bytes);
}

export const batchesAborted = (topic: string, count: number): void =>
  abortedBatches.add({ topic }, count);
export const offsetsSkipped = (topic: string, count: number): void =>
  skippedRecords.add({ topic }, count);
export const groupRejoined = (group: string): void => rebalances.add({ group });
export const commitEnded = (outcome: 'committed' | 'failed' | 'fenced' | 'unknown'): void =>
  commits.add({ outcome });
export const fetchStalled = (topic: string): void => stalls.add({ topic });
export const fetchFailed = (code: string): void => fetchFailures.add({ code });
