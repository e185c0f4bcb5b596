/** The feed from the log of KairosDB's points to the store, its names, and who knows how far it is. */
import type { Broker, RecordBatch } from '../../broker/index.ts';
import { isDelete, type KairosStore, pointsOf } from '../../databases/kairos/index.ts';
import type { Clock, Settings } from '../../runtime/index.ts';
import {
  type Codec,
  type Decoded,
  type EpochPolicy,
  type Topology,
  topology,
} from '../../stream/index.ts';
import type { LoggedPoints } from './points-sink.ts';

/** Two keyspaces on one Kafka have nothing to do with each other. */
export const pointsTopicOf = ({ cassandra }: Settings): string =>
  `tidemark.${cassandra.keyspace}.points`;

export const POINTS_SINK = 'kairos:points';

/** How points go from the log into a store of a kind. */
export interface Pace {
  /** Of records in one batch of the delivery. */
  readonly batchBytes: number;
  /** When this much waits as a write ends, there is a backlog, and the next batch gathers. 0 = never. */
  readonly gatherFromBytes: number;
  /** So long after the first of it came, or until it is full. */
  readonly gatherMs: number;
}

/**
 * A mutation costs Cassandra as much as fifteen cells, and its work and ours take the processors from whoever sends
 * points. So a burst of some 350,000 points, ten to a series and body, is acknowledged first (0050, 0063). Five thousand
 * are a backlog.
 */
const GATHERED: Pace = {
  batchBytes: 8 * 1_024 ** 2,
  gatherFromBytes: 100_000,
  gatherMs: 800,
};

const AT_ONCE: Pace = { batchBytes: 4 * 1_024 ** 2, gatherFromBytes: 0, gatherMs: 0 };

export const paceOf = (kind: KairosStore['rows']['kind']): Pace =>
  kind === 'cassandra' ? GATHERED : AT_ONCE;

/** A batch on its way, the next one, and what one turn of the task adds. */
export const policyOf = ({ batchBytes }: Pace): Partial<EpochPolicy> => ({
  pointsMax: 2 * batchBytes,
  mailboxBytesMax: 1_024 ** 2,
});

/** What a record counts for there. Nothing that stands behind a delete makes it wait: it fills a batch. */
export const weigherOf =
  ({ batchBytes }: Pace) =>
  ({ bytes }: LoggedPoints): number =>
    isDelete(bytes) ? batchBytes : bytes.length;

export function pointsFeed(topic: string, name = 'kairos.points'): Topology {
  return topology(name, ({ source }) => {
    source(topic, loggedPointsCodec, { futureToleranceMs: Number.POSITIVE_INFINITY }).into(
      POINTS_SINK,
      (record) => [record],
    );
  });
}

/** Leaves the bytes as they are: the store unpacks them. */
const loggedPointsCodec: Codec<LoggedPoints> = {
  name: 'kairos-points',
  createDecoder: () => ({ decode }),
  encode: ({ bytes }) => bytes,
};

function decode(batch: RecordBatch): Decoded<LoggedPoints> {
  const { count, bytes, valueStart, valueEnd, offsets, partition, timestamps } = batch;
  const empty = Array.from({ length: count }, (_, row) => row).filter(
    (row) => (valueEnd[row] as number) <= (valueStart[row] as number),
  );
  return {
    columns: {},
    timestamps,
    selected:
      empty.length === 0
        ? undefined
        : Int32Array.from({ length: count }, (_, row) => row).filter((row) => !empty.includes(row)),
    rejects: empty.map((row) => ({
      row,
      code: 'FIELD_INVALID',
      message: 'a record without value holds no points',
    })),
    row: (i) => ({
      partition,
      offset: offsets[i] as number,
      appendedAtMs: timestamps[i] as number,
      bytes: bytes.subarray(valueStart[i], valueEnd[i]),
    }),
  };
}

/** For the backlog: how many points a record holds. */
export const weighRecord = (value: Buffer): number => pointsOf(value);

/** How far the store is, as this process saw it, or as the group has committed it when another does the work. */
export class StoredPlaces {
  readonly #broker: Broker;
  readonly #clock: Clock;
  readonly #topic: string;
  readonly #group: string;
  readonly #places = new Map<number, number>();
  readonly #waiting = new Set<() => void>();

  constructor(parts: { broker: Broker; clock: Clock; topic: string; group: string }) {
    this.#broker = parts.broker;
    this.#clock = parts.clock;
    this.#topic = parts.topic;
    this.#group = parts.group;
  }

  moved(partition: number, offset: number): void {
    // After a restart from the last epoch it goes back; what was stored stays stored.
    this.#places.set(partition, Math.max(offset, this.#places.get(partition) ?? 0));
    for (const wake of this.#waiting) wake();
  }

  /** Resolves when all before `offset` is stored; rejects when `signal` aborts. */
  async reached(partition: number, offset: number, signal: AbortSignal): Promise<void> {
    let wake = () => {};
    const isHere = () => (this.#places.get(partition) ?? 0) >= offset;
    const here = new Promise<void>((resolve) => {
      wake = () => {
        if (isHere()) resolve();
      };
      this.#waiting.add(wake);
      wake();
    });
    const done = new AbortController();
    const either = AbortSignal.any([signal, done.signal]);
    try {
      await Promise.race([here, this.#elsewhere(partition, offset, either)]);
    } finally {
      done.abort();
      this.#waiting.delete(wake);
    }
  }

  async #elsewhere(partition: number, offset: number, signal: AbortSignal): Promise<void> {
    for (let waitMs = 50; ; waitMs = Math.min(1_000, waitMs * 2)) {
      await this.#clock.sleep(waitMs, signal);
      const committed = await this.#broker.committedOffsets(this.#group).catch(() => []);
      const place = committed.find((c) => c.topic === this.#topic && c.partition === partition);
      if ((place?.offset ?? 0) >= offset) return;
    }
  }
}
