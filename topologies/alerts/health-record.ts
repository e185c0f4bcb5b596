/** What a process of the engine measures of itself, as it stands in `tidemark.health`. */
import { PoisonError } from '../../src/model/index.ts';
import { type Codec, rowDecoder } from '../../src/stream/index.ts';
import type { Observation } from './observation.ts';

export interface HealthRecord {
  /** Host and data directory, so that two processes are told apart. */
  readonly process: string;
  /** ms, wall clock. */
  readonly timestamp: number;
  readonly values: readonly {
    /** `sink.failing`, `engine.disk`, … */
    readonly measure: string;
    /** Of the process: a sink, a topology; absent: the process itself. */
    readonly of?: string;
    readonly value: number;
  }[];
}

export const healthCodec: Codec<HealthRecord> = {
  name: 'health',
  createDecoder: () =>
    rowDecoder((text) => {
      const row = JSON.parse(text) as HealthRecord;
      if (!Number.isFinite(row.timestamp) || !Array.isArray(row.values)) {
        throw new PoisonError('expected process, timestamp and values', { code: 'FIELD_INVALID' });
      }
      return { row, timestamp: row.timestamp };
    }),
  encode: (row) => Buffer.from(JSON.stringify(row)),
};

export function healthObserved({
  process,
  timestamp,
  values,
}: HealthRecord): readonly Observation[] {
  return values.map(({ measure, of, value }) => ({
    measure,
    key: JSON.stringify([process, of ?? null]),
    subject: of === undefined ? process : `${of} of ${process}`,
    labels: { process, ...(of === undefined ? {} : { of }) },
    value,
    at: timestamp,
  }));
}
