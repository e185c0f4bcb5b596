/**
 * The broker contract: an ordered, partitioned, replayable, durable topic, and the one atomic commit that
 * everything above rests on. Two implementations, *kafka* and *embedded*, are held to it by one test suite
 * (`contract.suite.ts`). Nothing above this file knows which one it has.
 *
 * Offsets are `number` here (2^53 records per partition; implementations refuse larger ones with a clear
 * error) and text or bigint at the program's edges.
 */

export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

/**
 * Consecutive records of one partition, in offset order, as columns over shared bytes: no object per record.
 * Record i's key is `bytes[keyStart[i] .. keyEnd[i])`, or null when keyStart[i] is -1; its value likewise.
 * The bytes stay valid as long as the batch is referenced; they are never written again.
 */
export interface RecordBatch extends TopicPartition {
  readonly count: number;
  readonly bytes: Buffer;
  readonly offsets: Float64Array;
  /** The log's time of each record, ms: append time on topics that `setup` makes, else what the producer gave. */
  readonly timestamps: Float64Array;
  readonly keyStart: Int32Array;
  readonly keyEnd: Int32Array;
  readonly valueStart: Int32Array;
  readonly valueEnd: Int32Array;
  /** Where to read on: past the last record and past control and aborted records behind it. */
  readonly nextOffset: number;
  /** The end of the log (last stable offset) when this batch was read: nextOffset === endOffset means caught up. */
  readonly endOffset: number;
  /** Memory that holding this batch costs, for credits. */
  readonly byteLength: number;
}

export interface ProducerRecord {
  readonly key: Buffer | string | null;
  readonly value: Buffer | string | null;
  /** Absent: the murmur2 partitioner of the key, as Kafka's own clients; without key round robin. */
  readonly partition?: number;
  /** Kept only by topics with create time; ms. */
  readonly timestamp?: number;
}

export interface AppendedRecord {
  readonly partition: number;
  readonly offset: number;
}

export interface TopicSpec {
  readonly name: string;
  /** Absent: the broker's default (embedded: 1 unless configured). */
  readonly partitions?: number;
  /** `delete` by time and bytes (default), or `compact`: the last value of each key is kept for ever. */
  readonly cleanup?: 'delete' | 'compact';
  /** -1 = for ever; absent = the broker's default. */
  readonly retentionMs?: number;
  readonly retentionBytes?: number;
  /** Which time the log keeps for a record. Default `append`, so that a replay judges as the live run did. */
  readonly timestampType?: 'append' | 'create';
}

export interface PartitionDescription {
  readonly partition: number;
  readonly firstOffset: number;
  /** The offset that the next record will get (read committed: the last stable offset). */
  readonly nextOffset: number;
}

export interface TopicDescription {
  readonly name: string;
  readonly partitions: readonly PartitionDescription[];
}

export interface ReadRequest extends TopicPartition {
  /** Below the first retained offset reading starts at that one; at or past the end gives null. */
  readonly from: number;
  /** At least one record is returned when there is one, however large. Default 1 MiB. */
  readonly maxBytes?: number;
  /** Wait this long for a record when there is none yet. Default 0. */
  readonly maxWaitMs?: number;
  readonly signal?: AbortSignal;
}

/** What a consumer owes its broker. All calls for one partition come in order; none after its revoke settled. */
export interface ConsumerHandlers {
  /**
   * These partitions became ours. Restore what is needed, then give the offset to start each from, by
   * partition. May take long (restoring): the membership is kept alive meanwhile. Rejecting stops the consumer.
   */
  assigned(
    partitions: readonly TopicPartition[],
  ): Promise<readonly (TopicPartition & { offset: number })[]>;
  /**
   * These are being taken away: finish, commit, drop. Awaited for at most `revokeTimeoutMs`; then they go to
   * their next owner, who fences us.
   */
  revoked(partitions: readonly TopicPartition[]): Promise<void>;
  /**
   * One batch. Synchronous hand-over: return false when this partition has had enough; the broker then holds
   * it until `Consumer.resume`. At most the batches of one fetch that was under way follow a false.
   */
  batch(batch: RecordBatch): boolean;
  /** The consumer can't go on (and has stopped). */
  failed(error: Error): void;
}

export interface ConsumeOptions {
  /** Consumer group; membership decides who has which partition. */
  readonly group: string;
  /** Partition number p of every topic goes to the same member, so that joins are co-partitioned. */
  readonly topics: readonly string[];
  readonly handlers: ConsumerHandlers;
  /** Default 10 000. */
  readonly revokeTimeoutMs?: number;
}

export interface PartitionPosition extends TopicPartition {
  /** Next offset to be handed over. */
  readonly nextOffset: number;
  readonly endOffset: number;
  /** When the broker last confirmed `endOffset` (ms, wall clock): an unreachable broker confirms nothing. */
  readonly confirmedAtMs: number;
}

export interface Consumer {
  resume(partition: TopicPartition): void;
  /**
   * Goes on from `offset` in an owned partition: what was fetched but not handed over is dropped, no batch
   * from before the call follows it. How a task that went back to its last epoch reads again.
   */
  seek(partition: TopicPartition & { readonly offset: number }): void;
  /** Where each owned partition stands; without I/O. */
  positions(): readonly PartitionPosition[];
  /** Revokes everything (handlers.revoked is awaited), leaves the group. Safe to call twice. */
  stop(): Promise<void>;
}

/** One entry of a task's state; null removes it. */
export interface StateChange {
  readonly key: Buffer;
  readonly value: Buffer | null;
}

/** What one epoch makes durable, all of it or none of it. */
export interface EpochCommit {
  readonly appends: readonly (ProducerRecord & { readonly topic: string })[];
  readonly state: readonly StateChange[];
  /** Input offsets to read next, of the ledger's group. */
  readonly offsets: readonly (TopicPartition & { readonly offset: number })[];
  /** Opaque to the broker; returned by `restore`. Small. */
  readonly meta: Buffer;
}

export interface LedgerOptions {
  /** Unique per task: application-topology-partition. Opening it fences whoever had it before. */
  readonly id: string;
  /** Compacted topic that holds state (Kafka); a plain name to the embedded broker. */
  readonly changelog: string;
  /** The partition of the changelog this task owns. */
  readonly partition: number;
  /** How many partitions the changelog has when it must be made. */
  readonly changelogPartitions: number;
  /** Consumer group whose offsets commit with the epoch. */
  readonly group: string;
  readonly inputs: readonly TopicPartition[];
}

/**
 * The right to commit epochs for one task. At most one ledger of an id is live anywhere; an older one's
 * `commit` rejects with FencedError and changes nothing.
 */
export interface TaskLedger {
  /**
   * State as of the last committed epoch, each live key once, then resolves with that epoch's meta (undefined
   * when there is none) and the committed offset of each input (undefined when none). `onProgress` gets done/total.
   */
  restore(
    each: (key: Buffer, value: Buffer) => void,
    onProgress?: (done: number, total: number) => void,
  ): Promise<{
    readonly meta: Buffer | undefined;
    readonly offsets: readonly (TopicPartition & { readonly offset: number | undefined })[];
  }>;
  /**
   * Durable and visible at once when it resolves. Rejects with FencedError (someone else owns the task) or
   * RetriableError (the epoch did not happen: reopen the ledger and go on from `restore`). One at a time.
   */
  commit(epoch: EpochCommit): Promise<void>;
  close(): Promise<void>;
}

export interface Broker {
  readonly kind: 'embedded' | 'kafka';
  /** Makes what is missing; leaves what exists. Names outside [A-Za-z0-9._-]{1,249} are refused. */
  createTopics(topics: readonly TopicSpec[]): Promise<void>;
  /** Sorted by name. `topics` narrows; an unknown name is left out. */
  describeTopics(topics?: readonly string[]): Promise<readonly TopicDescription[]>;
  /** Durable when it resolves; results in the order of the records. Unknown topic: FatalError UNKNOWN_TOPIC. */
  append(topic: string, records: readonly ProducerRecord[]): Promise<readonly AppendedRecord[]>;
  /** Random access, read committed; null when nothing is there (yet). */
  read(request: ReadRequest): Promise<RecordBatch | null>;
  /** The first offset whose log time is at or after `timestampMs`; the end of the log when there is none. */
  offsetAt(partition: TopicPartition, timestampMs: number): Promise<number>;
  /** Joins the group; resolves once membership is being sought, not once partitions came. */
  consume(options: ConsumeOptions): Promise<Consumer>;
  openLedger(options: LedgerOptions): Promise<TaskLedger>;
  /** What a group has committed, for lag. Groups and partitions without a commit are left out. */
  committedOffsets(
    group: string,
  ): Promise<readonly (TopicPartition & { readonly offset: number })[]>;
  /** Deletes a replay's leavings: topics and group offsets whose names begin with `prefix`, which must begin with `tidemark.`. */
  deleteNamespace(prefix: string): Promise<void>;
  /** Cheap round trip; rejects when the log can't be used. */
  check(): Promise<void>;
  close(): Promise<void>;
}
