/**
 * What one partition's part of a fetch holds: which batches count (committed, not control), where reading goes
 * on, and after unpacking, the runs of records to decode.
 */
import { compressions, decompress } from './compression.ts';
import {
  assertPlausibleCount,
  HEADER_BYTES,
  isAbortMarker,
  type RecordRun,
  readBatchHeader,
} from './record-batch.ts';

export interface AbortedTransaction {
  readonly producerId: number;
  readonly firstOffset: number;
}

/** One batch that counts, still packed. */
interface PackedBatch {
  readonly bytes: Buffer;
  readonly codec: number;
  readonly count: number;
  readonly baseOffset: number;
  readonly baseTimestamp: number;
  readonly appendTimestamp: number;
}

export interface RecordSet {
  /** Where to read on: behind the last whole batch, whether it counted or not. */
  readonly nextOffset: number;
  /** The one batch in the answer is larger than the answer allowed, which brokers since 0.11 never do. */
  readonly cutOff: boolean;
  /** Record batches left out because their transaction was aborted. */
  readonly aborted: number;
  readonly batches: readonly PackedBatch[];
}

/**
 * Walks the batches in `records`, beginning at offset `from`. The rule of read committed (KIP-98): before each
 * batch, all aborted transactions that began at or before its last offset become active; a producer's abort
 * marker ends its one; a transactional batch of an active one is left out, and so is every control batch.
 */
export function openRecordSet(
  records: Buffer,
  from: number,
  abortedTransactions: readonly AbortedTransaction[],
): RecordSet {
  const pending =
    abortedTransactions.length > 1
      ? [...abortedTransactions].sort((a, b) => a.firstOffset - b.firstOffset)
      : abortedTransactions;
  const active = new Set<number>();
  const batches: PackedBatch[] = [];
  let nextPending = 0;
  let nextOffset = from;
  let aborted = 0;
  let at = 0;
  while (at < records.length) {
    const header = readBatchHeader(records, at, records.length);
    if (header === null) break;
    while (nextPending < pending.length && pending[nextPending]!.firstOffset <= header.lastOffset) {
      active.add(pending[nextPending++]!.producerId);
    }
    if (header.control) {
      if (header.count > 0 && isAbortMarker(records, at)) active.delete(header.producerId);
    } else if (header.transactional && active.has(header.producerId)) {
      aborted++;
    } else if (header.lastOffset >= from && header.count > 0) {
      batches.push({
        bytes: records.subarray(at + HEADER_BYTES, header.end),
        codec: header.codec,
        count: header.count,
        baseOffset: header.baseOffset,
        baseTimestamp: header.baseTimestamp,
        appendTimestamp: header.appendTimestamp,
      });
    }
    nextOffset = Math.max(nextOffset, header.lastOffset + 1);
    at = header.end;
  }
  return { nextOffset, cutOff: at === 0 && records.length > 0, aborted, batches };
}

/** Unpacked batches smaller than this are joined, so that a producer of single records costs few hand-overs. */
const JOIN_BYTES = 1024 * 1024;

/**
 * The runs of a record set, in order. Plain batches stay where they are in `records`; packed ones are unpacked
 * (in the thread pool), small neighbours into one buffer, so that runs with the same `bytes` can share a
 * RecordBatch.
 */
export async function openRuns(records: Buffer, set: RecordSet): Promise<RecordRun[]> {
  const { batches } = set;
  const unpacked = batches.some((batch) => batch.codec !== 0)
    ? await Promise.all(
        batches.map((batch) =>
          batch.codec === 0
            ? batch.bytes
            : decompress(compressions[batch.codec] ?? 'none', batch.bytes),
        ),
      )
    : undefined;
  const runs: RecordRun[] = [];
  for (let i = 0; i < batches.length; ) {
    if (unpacked === undefined || batches[i]!.codec === 0) {
      const batch = batches[i]!;
      const at = batch.bytes.byteOffset - records.byteOffset;
      runs.push(runOf(batch, records, at, at + batch.bytes.length));
      i++;
      continue;
    }
    let until = i;
    let total = 0;
    do total += unpacked[until++]!.length;
    while (
      until < batches.length &&
      batches[until]!.codec !== 0 &&
      total + unpacked[until]!.length <= JOIN_BYTES
    );
    const joined = until - i === 1 ? unpacked[i]! : Buffer.concat(unpacked.slice(i, until), total);
    for (let at = 0; i < until; i++) {
      const end = at + unpacked[i]!.length;
      runs.push(runOf(batches[i]!, joined, at, end));
      at = end;
    }
  }
  return runs;
}

function runOf(batch: PackedBatch, bytes: Buffer, at: number, end: number): RecordRun {
  const { count, baseOffset, baseTimestamp, appendTimestamp } = batch;
  const run = { bytes, at, end, count, baseOffset, baseTimestamp, appendTimestamp };
  assertPlausibleCount(run);
  return run;
}
