/**
 * Gives each row a score of how unusual its value is for its series: a detector per key, in one pass, without
 * looking ahead. The detectors are the task's state, so a crash anywhere changes no score.
 */
import { Table } from '../../state/index.ts';
import {
  createDetector,
  type Detector,
  type DetectorName,
  restoreDetector,
} from '../../stats/index.ts';
import { forEachRow } from '../for-each-row.ts';
import { type Operator, operator } from '../operator.ts';
import { madeFrom } from '../rows.ts';

export interface DetectOptions<T> {
  readonly detector: DetectorName;
  readonly key: (row: T) => string;
  readonly value: (row: T) => number;
  /** Event time of the value, ms. */
  readonly time: (row: T) => number;
  /** Rows that score less end here. Default 0.5, where an alarm is due by the detector's own rule. */
  readonly scoreMin?: number;
}

/** The score: 0 (as ever) to 1. */
export type WithScore<T> = T & { readonly score: number };

/** A series without values for so long is forgotten [event time, ms]. */
const FORGET_AFTER_MS = 30 * 86_400_000;

interface Judge {
  readonly detector: Detector;
  seenMs: number;
}

/**
 * Store `STEP/DETECTOR`, entry: seen f64 · the detector's bytes. So a step that is given another detector begins
 * anew, and what the one before it left is removed. A value that is not finite is passed over.
 */
export function detect<T extends object>(options: DetectOptions<T>): Operator<T, WithScore<T>> {
  const { detector: name, key, value, time, scoreMin = 0.5 } = options;
  const detail = { detector: name, scoreMin };
  return operator<T, WithScore<T>>({ kind: 'detect', detail }, (task) => {
    const judges = new Table<Judge>({
      encode: ({ detector, seenMs }) => {
        const seen = Buffer.allocUnsafe(8);
        seen.writeDoubleBE(seenMs, 0);
        return Buffer.concat([seen, detector.toBytes()]);
      },
      decode: (bytes) => ({
        seenMs: bytes.readDoubleBE(0),
        detector: restoreDetector(name, bytes.subarray(8)),
      }),
    });
    task.store(judges, `/${name}`, { isOnlyOne: true });
    let sweepAt = Number.NEGATIVE_INFINITY;
    return {
      next: (batch, emit) => {
        const rows: WithScore<T>[] = [];
        const from: number[] = [];
        forEachRow(batch, (i) => {
          const row = batch.row(i);
          const seen = value(row);
          const seenMs = time(row);
          if (!Number.isFinite(seen) || !Number.isFinite(seenMs)) return;
          const series = key(row);
          const judge = judges.get(series) ?? { detector: createDetector(name), seenMs };
          const score = judge.detector.push(seenMs, seen);
          judge.seenMs = Math.max(judge.seenMs, seenMs);
          judges.set(series, judge);
          if (score < scoreMin) return;
          rows.push({ ...row, score });
          from.push(i);
        });
        if (batch.watermark >= sweepAt) {
          sweepAt = batch.watermark + FORGET_AFTER_MS / 30;
          for (const [series, { seenMs }] of judges.entries()) {
            if (seenMs < batch.watermark - FORGET_AFTER_MS) judges.delete(series);
          }
        }
        emit(madeFrom(batch, rows, from));
      },
    };
  });
}
