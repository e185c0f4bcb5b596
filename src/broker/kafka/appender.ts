/**
 * The plain producer behind `append`: idempotent, all replicas. Appends that arrive while a broker is answering
 * travel together in the next request, so many small callers cost few requests; each partition has one batch
 * under way at a time, which keeps its order whatever has to be tried again.
 */
import { FatalError, RetriableError } from '../../model/index.ts';
import type { Clock } from '../../runtime/index.ts';
import type { AppendedRecord, ProducerRecord } from '../contract.ts';
import type { Cluster } from './cluster.ts';
import type { Compression } from './compression.ts';
import {
  asTidemarkError,
  code,
  isStaleLeader,
  isTransient,
  typeOf,
  unknownTopic,
} from './errors.ts';
import { errorFromCode } from './library.ts';
import {
  asBuffer,
  cut,
  encodable,
  PRODUCE_BATCH_BYTES_MAX,
  PRODUCE_BATCH_RECORDS_MAX,
  partitionFor,
} from './outgoing.ts';
import {
  type EncodedBatch,
  type ProduceResult,
  produceExchange,
  sequenceAfter,
} from './produce.ts';
import { type EncodableRecord, encodeBatch } from './record-batch-encode.ts';
import { recordsProduced } from './telemetry.ts';

/** One request carries about this much, over all partitions. */
const REQUEST_BYTES_MAX = 8 * 1024 * 1024;
const BACKOFF_MIN_MS = 20;
const BACKOFF_MAX_MS = 1_000;

/** One `append` under way. */
interface Caller {
  readonly results: AppendedRecord[];
  /** Chunks not written yet. */
  left: number;
  resolve(): void;
  reject(error: Error): void;
}

/** Records of one call for one partition, small enough for a batch. */
interface Chunk {
  readonly caller: Caller;
  readonly records: readonly EncodableRecord[];
  /** Where each of them stands in the call. */
  readonly rows: readonly number[];
  readonly bytes: number;
}

interface Sending {
  readonly chunks: readonly Chunk[];
  readonly batch: EncodedBatch;
  readonly count: number;
  readonly identity: Identity;
  readonly deadlineMs: number;
  /** The broker may have written it although we have no answer. */
  uncertain: boolean;
  backoffMs: number;
}

interface Lane {
  readonly topic: string;
  readonly partition: number;
  readonly queue: Chunk[];
  sending: Sending | undefined;
  busy: boolean;
  /** Since when its leader, or our identity, can't be found. */
  waitingSinceMs: number | undefined;
  /** Halved each time that the broker finds a batch too large (its topic allows less than usual). */
  recordsMax: number;
}

interface Identity {
  readonly producerId: bigint;
  readonly producerEpoch: number;
  readonly sequences: Map<Lane, number>;
}

export interface AppenderSettings {
  readonly cluster: Cluster;
  readonly compression: Compression;
  readonly clock: Clock;
  readonly retryForMs: number;
  readonly requestTimeoutMs: number;
}

export class Appender {
  readonly #settings: AppenderSettings;
  readonly #lanes = new Map<string, Lane>();
  readonly #busyNodes = new Set<number>();
  #identity: Promise<Identity> | undefined;
  #roundRobin = 0;
  #flushing = false;
  #again = false;
  readonly #closing = new AbortController();

  constructor(settings: AppenderSettings) {
    this.#settings = settings;
  }

  async append(
    topic: string,
    records: readonly ProducerRecord[],
  ): Promise<readonly AppendedRecord[]> {
    if (records.length === 0) return [];
    const partitions = await this.#partitionCount(topic);
    const results = new Array<AppendedRecord>(records.length);
    const byPartition = new Map<number, { records: EncodableRecord[]; rows: number[] }>();
    for (let row = 0; row < records.length; row++) {
      const record = records[row]!;
      const key = asBuffer(record.key);
      const partition = partitionFor(record, key, partitions, topic, () => this.#roundRobin++);
      let group = byPartition.get(partition);
      if (group === undefined) {
        group = { records: [], rows: [] };
        byPartition.set(partition, group);
      }
      group.records.push(encodable(record, key));
      group.rows.push(row);
    }
    await new Promise<void>((resolve, reject) => {
      const caller: Caller = { results, left: 0, resolve, reject };
      for (const [partition, group] of byPartition) {
        const lane = this.#lane(topic, partition);
        for (const { from, to, bytes } of cut(group.records)) {
          caller.left++;
          lane.queue.push({
            caller,
            records: group.records.slice(from, to),
            rows: group.rows.slice(from, to),
            bytes,
          });
        }
      }
      this.#flush();
    });
    return results;
  }

  /** Refuses what is still waiting. */
  close(): void {
    const error = new FatalError('the broker is closed', { code: 'BROKER_CLOSED' });
    this.#closing.abort(error);
    for (const lane of this.#lanes.values()) {
      for (const chunk of lane.queue.splice(0)) chunk.caller.reject(error);
      for (const chunk of lane.sending?.chunks ?? []) chunk.caller.reject(error);
      lane.sending = undefined;
    }
  }

  async #partitionCount(topic: string): Promise<number> {
    const { cluster, clock, retryForMs } = this.#settings;
    const deadlineMs = clock.now() + retryForMs;
    for (let backoffMs = BACKOFF_MIN_MS; ; backoffMs = Math.min(backoffMs * 2, BACKOFF_MAX_MS)) {
      try {
        return (await cluster.leadersOf(topic)).length;
      } catch (error) {
        if (!isTransient(error) || clock.now() >= deadlineMs) {
          throw asTidemarkError(error, `appending to ${topic}`, { topic });
        }
        await clock.sleep(backoffMs, this.#closing.signal);
      }
    }
  }

  #lane(topic: string, partition: number): Lane {
    const name = `${partition}:${topic}`;
    let lane = this.#lanes.get(name);
    if (lane === undefined) {
      lane = {
        topic,
        partition,
        queue: [],
        sending: undefined,
        busy: false,
        waitingSinceMs: undefined,
        recordsMax: PRODUCE_BATCH_RECORDS_MAX,
      };
      this.#lanes.set(name, lane);
    }
    return lane;
  }

  /** Sends what can be sent: idle partitions of brokers that aren't answering just now. */
  #flush(): void {
    if (this.#flushing) {
      this.#again = true;
      return;
    }
    this.#flushing = true;
    void this.#flushOnce().finally(() => {
      this.#flushing = false;
      if (this.#again) {
        this.#again = false;
        this.#flush();
      }
    });
  }

  async #flushOnce(): Promise<void> {
    const byNode = new Map<number, { lanes: Lane[]; bytes: number }>();
    for (const lane of this.#lanes.values()) {
      if (lane.busy || (lane.sending === undefined && lane.queue.length === 0)) continue;
      const leader = this.#settings.cluster.knownLeader(lane.topic, lane.partition);
      if (leader === undefined) {
        lane.busy = true;
        void this.#findLeader(lane);
        continue;
      }
      if (this.#busyNodes.has(leader)) continue;
      const group = byNode.get(leader) ?? { lanes: [], bytes: 0 };
      if (group.bytes >= REQUEST_BYTES_MAX) continue;
      group.bytes += lane.queue[0]?.bytes ?? 0;
      group.lanes.push(lane);
      byNode.set(leader, group);
    }
    for (const [node, { lanes }] of byNode) {
      this.#busyNodes.add(node);
      for (const lane of lanes) lane.busy = true;
      void this.#sendTo(node, lanes);
    }
  }

  async #findLeader(lane: Lane): Promise<void> {
    try {
      await this.#settings.cluster.refresh([lane.topic]);
      if (this.#settings.cluster.knownLeader(lane.topic, lane.partition) === undefined) {
        await this.#settings.cluster.leadersOf(lane.topic);
        throw errorFromCode(5);
      }
      this.#release(lane);
    } catch (error) {
      this.#afterFailure(lane, error);
    }
  }

  async #sendTo(node: number, lanes: readonly Lane[]): Promise<void> {
    const { cluster, requestTimeoutMs } = this.#settings;
    const sent: Lane[] = [];
    try {
      const identity = await this.#identify();
      for (const lane of lanes) {
        lane.sending ??= await this.#prepare(lane, identity);
        if (lane.sending !== undefined) sent.push(lane);
        else this.#release(lane);
      }
      const batches = sent.map((lane) => lane.sending!.batch);
      const results = (await cluster.send(
        node,
        produceExchange(batches, null, requestTimeoutMs),
      )) as ProduceResult[];
      for (const lane of sent) {
        const result = results.find(
          ({ topic, partition }) => topic === lane.topic && partition === lane.partition,
        );
        this.#settle(lane, result);
      }
    } catch (error) {
      for (const lane of lanes) {
        if (lane.sending !== undefined) lane.sending.uncertain = true;
        this.#afterFailure(lane, error);
      }
    } finally {
      this.#busyNodes.delete(node);
      this.#flush();
    }
  }

  async #prepare(lane: Lane, identity: Identity): Promise<Sending | undefined> {
    const { compression, clock, retryForMs } = this.#settings;
    lane.waitingSinceMs = undefined;
    const chunks: Chunk[] = [];
    let bytes = 0;
    let count = 0;
    while (lane.queue.length > 0) {
      const chunk = lane.queue[0]!;
      if (
        chunks.length > 0 &&
        (bytes + chunk.bytes > PRODUCE_BATCH_BYTES_MAX ||
          count + chunk.records.length > lane.recordsMax)
      ) {
        break;
      }
      lane.queue.shift();
      chunks.push(chunk);
      bytes += chunk.bytes;
      count += chunk.records.length;
    }
    if (chunks.length === 0) return undefined;
    const records = chunks.length === 1 ? chunks[0]!.records : chunks.flatMap((c) => c.records);
    const encoded = await encodeBatch(
      records,
      {
        producerId: identity.producerId,
        producerEpoch: identity.producerEpoch,
        baseSequence: identity.sequences.get(lane) ?? 0,
        transactional: false,
      },
      compression,
      clock.now(),
    );
    return {
      chunks,
      batch: { topic: lane.topic, partition: lane.partition, bytes: encoded },
      count,
      identity,
      deadlineMs: clock.now() + retryForMs,
      uncertain: false,
      backoffMs: BACKOFF_MIN_MS,
    };
  }

  #settle(lane: Lane, result: ProduceResult | undefined): void {
    const { sending } = lane;
    if (sending === undefined) return;
    if (result === undefined) {
      this.#afterFailure(lane, errorFromCode(-1));
      return;
    }
    if (result.errorCode !== code.none) {
      // REQUEST_TIMED_OUT and NOT_ENOUGH_REPLICAS_AFTER_APPEND: the leader has it, the replicas may not.
      if (result.errorCode === 7 || result.errorCode === 20) sending.uncertain = true;
      this.#afterFailure(lane, errorFromCode(result.errorCode));
      return;
    }
    lane.sending = undefined;
    sending.identity.sequences.set(
      lane,
      sequenceAfter(sending.identity.sequences.get(lane) ?? 0, sending.count),
    );
    recordsProduced(lane.topic, sending.count, sending.batch.bytes.length);
    let offset = result.baseOffset;
    for (const chunk of sending.chunks) {
      const { caller, rows } = chunk;
      for (const row of rows) caller.results[row] = { partition: lane.partition, offset: offset++ };
      if (--caller.left === 0) caller.resolve();
    }
    lane.busy = false;
  }

  /** Tries again, splits, takes a new identity or gives up. */
  #afterFailure(lane: Lane, error: unknown): void {
    const { clock, retryForMs } = this.#settings;
    const { sending } = lane;
    const type = typeOf(error);
    if (isStaleLeader(error)) this.#settings.cluster.forgetLeaders(lane.topic);

    if (sending === undefined) {
      // Nothing encoded yet: the leader or our identity could not be found.
      const now = clock.now();
      lane.waitingSinceMs ??= now;
      if (isTransient(error) && now - lane.waitingSinceMs < retryForMs) {
        this.#releaseAfter(lane, BACKOFF_MAX_MS / 4);
        return;
      }
      lane.waitingSinceMs = undefined;
      const failure = asTidemarkError(error, `appending to ${lane.topic}`, { topic: lane.topic });
      for (const chunk of lane.queue.splice(0)) chunk.caller.reject(failure);
      this.#release(lane);
      return;
    }

    if (type === 'MESSAGE_TOO_LARGE' || type === 'RECORD_LIST_TOO_LARGE') {
      if (sending.count > 1) {
        lane.sending = undefined;
        lane.recordsMax = Math.max(1, sending.count >> 1);
        lane.queue.unshift(...sending.chunks.flatMap(halve));
        this.#release(lane);
        return;
      }
    } else if (
      type === 'OUT_OF_ORDER_SEQUENCE_NUMBER' ||
      type === 'UNKNOWN_PRODUCER_ID' ||
      type === 'INVALID_PRODUCER_EPOCH' ||
      type === 'INVALID_PRODUCER_ID_MAPPING'
    ) {
      this.#identity = undefined;
      if (!sending.uncertain) {
        lane.sending = undefined;
        lane.queue.unshift(...sending.chunks);
        this.#release(lane);
        return;
      }
    } else if (isTransient(error) && clock.now() < sending.deadlineMs) {
      const waitMs = sending.backoffMs;
      sending.backoffMs = Math.min(waitMs * 2, BACKOFF_MAX_MS);
      this.#releaseAfter(lane, waitMs);
      return;
    }

    lane.sending = undefined;
    // Its sequence numbers may be taken: what comes next must not be mistaken for it.
    if (sending.uncertain) this.#identity = undefined;
    const context = { topic: lane.topic, partition: lane.partition };
    const failure =
      type === 'UNKNOWN_TOPIC_OR_PARTITION'
        ? unknownTopic(lane.topic)
        : sending.uncertain
          ? new RetriableError(
              `appending to ${lane.topic}: no answer, so whether the records were written is not known; append them again`,
              { code: 'APPEND_OUTCOME_UNKNOWN', cause: error, context },
            )
          : asTidemarkError(error, `appending to ${lane.topic}`, context);
    for (const chunk of sending.chunks) chunk.caller.reject(failure);
    this.#release(lane);
  }

  #releaseAfter(lane: Lane, waitMs: number): void {
    void this.#settings.clock.sleep(waitMs, this.#closing.signal).then(
      () => this.#release(lane),
      () => {},
    );
  }

  #release(lane: Lane): void {
    lane.busy = false;
    this.#flush();
  }

  #identify(): Promise<Identity> {
    this.#identity ??= this.#settings.cluster
      .requestAny('InitProducerId', { transactionTimeout: 60_000 })
      .then((answer) => {
        const { producerId, producerEpoch } = answer as {
          producerId: string | number;
          producerEpoch: number;
        };
        return { producerId: BigInt(producerId), producerEpoch, sequences: new Map() };
      })
      .catch((error) => {
        this.#identity = undefined;
        throw error;
      });
    return this.#identity;
  }
}

function halve(chunk: Chunk): Chunk[] {
  const { caller, records, rows, bytes } = chunk;
  if (records.length === 1) return [chunk];
  const middle = records.length >> 1;
  caller.left++;
  return [
    { caller, records: records.slice(0, middle), rows: rows.slice(0, middle), bytes: bytes / 2 },
    { caller, records: records.slice(middle), rows: rows.slice(middle), bytes: bytes / 2 },
  ];
}
