/** A decoder for codecs that read one record at a time into an object: simple, for low rates. */
import type { RecordBatch } from '../broker/index.ts';
import { messageOf, PoisonError } from '../model/index.ts';
import type { Decoded, Decoder, Reject } from './codec.ts';
import { rowsBatch } from './rows.ts';

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** `read` gives the row and its event time (ms), or throws; a PoisonError's code is kept, else NOT_JSON. */
export function rowDecoder<T>(
  read: (value: string, logTimestampMs: number) => { readonly row: T; readonly timestamp: number },
): Decoder<T> {
  return {
    decode(batch: RecordBatch): Decoded<T> {
      const rows = new Array<T>(batch.count);
      const timestamps = new Float64Array(batch.count).fill(Number.NaN);
      const rejects: Reject[] = [];
      for (let i = 0; i < batch.count; i++) {
        const start = batch.valueStart[i] as number;
        try {
          if (start < 0) throw new PoisonError('the record has no value', { code: 'NOT_JSON' });
          const text = utf8.decode(batch.bytes.subarray(start, batch.valueEnd[i]));
          const { row, timestamp } = read(text, batch.timestamps[i] as number);
          rows[i] = row;
          timestamps[i] = timestamp;
        } catch (error) {
          const code = error instanceof PoisonError ? error.code : 'NOT_JSON';
          rejects.push({ row: i, code, message: messageOf(error) });
        }
      }
      const bad = new Set(rejects.map((reject) => reject.row));
      const selected =
        rejects.length === 0 ? undefined : Int32Array.from(rows.keys()).filter((i) => !bad.has(i));
      const { columns, absent } = rowsBatch({
        topic: batch.topic,
        partition: batch.partition,
        watermark: 0,
        rows,
        offsets: batch.offsets,
        timestamps,
        watermarks: timestamps,
      });
      return { columns, absent, timestamps, selected, rejects, row: (i) => rows[i] as T };
    },
  };
}
