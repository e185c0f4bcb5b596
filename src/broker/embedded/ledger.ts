/**
 * A task's ledger: one epoch's records, state, cursors and meta become true in one write, and only while this
 * ledger's fence is the one stored. Fences are numbers that are never given twice.
 */
import { FatalError, FencedError, RetriableError } from '../../model/index.ts';
import type { EpochCommit, LedgerOptions, TaskLedger, TopicPartition } from '../contract.ts';
import { type Appender, bytesOf, checkOffset } from './appender.ts';
import { decodeEntry, f64, metaKey, namedPartitionKey, stateStart, u32 } from './keys.ts';
import { Redo } from './redo.ts';
import type { Stage } from './stage.ts';
import type { Table, Tables } from './storage.ts';
import { checkName, type Topics } from './topics.ts';
import type { Writer } from './writer.ts';

/** A ledger as stored. */
export interface StoredLedger {
  readonly fence: number;
  readonly changelog: string;
}

export interface LedgerParts {
  readonly tables: Tables;
  readonly writer: Writer;
  readonly topics: Topics;
  readonly appender: Appender;
}

const LEDGER_ID_BYTES_MAX = 1000;
/** Entries handed over between two turns of the event loop while restoring. */
const ENTRIES_PER_TURN = 4096;

/** Fences whoever had the ledger before; resolves once that is on disk. */
export async function openLedger(parts: LedgerParts, options: LedgerOptions): Promise<TaskLedger> {
  const { id, changelog, partition, group } = options;
  checkName(changelog, 'changelog name');
  checkName(group, 'group name');
  const idBytes = Buffer.byteLength(id);
  if (idBytes < 1 || idBytes > LEDGER_ID_BYTES_MAX)
    throw new FatalError(`A ledger id has 1 to ${LEDGER_ID_BYTES_MAX} bytes, "${id}" has not.`, {
      code: 'LEDGER_INVALID',
      context: { id },
    });
  for (const input of options.inputs) parts.topics.partition(input.topic, input.partition);
  const key = Buffer.from(id);
  const opened = await parts.writer.run({
    bytes: 0,
    stage: (stage) => {
      const { ledgers, changelogs } = stage.tables;
      const fence = stage.nextNumber('fence');
      const stored: StoredLedger = { fence, changelog };
      stage.putShared(ledgers, key, Buffer.from(JSON.stringify(stored)));
      const stateKey = namedPartitionKey([changelog], partition);
      let state = stage.getShared(changelogs, stateKey)?.readUInt32BE(0);
      if (state === undefined) {
        state = stage.nextNumber('state');
        stage.putShared(changelogs, stateKey, u32(state));
      }
      return { fence, state };
    },
  });
  return new EmbeddedLedger(parts, options, key, opened.fence, opened.state);
}

class EmbeddedLedger implements TaskLedger {
  readonly #parts: LedgerParts;
  readonly #options: LedgerOptions;
  readonly #key: Buffer;
  readonly #fence: number;
  readonly #state: number;
  readonly #redo: Redo;
  #committing = false;
  #closed = false;

  constructor(
    parts: LedgerParts,
    options: LedgerOptions,
    key: Buffer,
    fence: number,
    state: number,
  ) {
    this.#parts = parts;
    this.#options = options;
    this.#key = key;
    this.#fence = fence;
    this.#state = state;
    this.#redo = new Redo({
      ...parts,
      state,
      assertOwned: (stage) => this.#assertOwned(stage.getShared(stage.tables.ledgers, key)),
    });
  }

  async restore(
    each: (key: Buffer, value: Buffer) => void,
    onProgress?: (done: number, total: number) => void,
  ): Promise<{
    meta: Buffer | undefined;
    offsets: (TopicPartition & { offset: number | undefined })[];
  }> {
    const { state, groups } = this.#parts.tables;
    await this.#redo.fold();
    const end = u32(this.#state + 1);
    const first = stateStart(this.#state);
    const total = onProgress ? state.getKeysCount({ start: first, end }) : 0;
    let done = 0;
    let from: Buffer | undefined = first;
    // In slices, each from the key after the last: no read transaction outlives a turn of the event loop.
    while (from) {
      this.#assertOwned(this.#parts.tables.ledgers.get(this.#key));
      let lastKey: Buffer | undefined;
      let slice = 0;
      for (const { key, value } of state.getRange({ start: from, end, limit: ENTRIES_PER_TURN })) {
        lastKey = key as Buffer;
        slice++;
        const entry = decodeEntry(lastKey, value);
        each(entry.key, entry.value);
      }
      done += slice;
      if (onProgress && slice > 0) onProgress(done, Math.max(done, total));
      from = slice === ENTRIES_PER_TURN ? Buffer.concat([lastKey as Buffer, ZERO]) : undefined;
      if (from) await new Promise((resolve) => setImmediate(resolve));
    }
    return {
      meta: state.get(metaKey(this.#state)),
      offsets: this.#options.inputs.map(({ topic, partition }) => ({
        topic,
        partition,
        offset: groups.get(this.#offsetKey(topic, partition))?.readDoubleLE(0),
      })),
    };
  }

  async commit(epoch: EpochCommit): Promise<void> {
    if (this.#closed)
      throw new RetriableError(`Ledger ${this.#options.id} is closed: open it again.`, {
        code: 'LEDGER_CLOSED',
      });
    if (this.#committing)
      throw new FatalError(`Ledger ${this.#options.id} already commits: one epoch at a time.`, {
        code: 'LEDGER_BUSY',
      });
    this.#committing = true;
    try {
      const packed = await this.#redo.pack(epoch.state);
      const append = await this.#parts.appender.draft(epoch.appends, ({ topic }) => topic);
      await this.#parts.writer.run({
        bytes: epochBytes(epoch),
        stage: (stage) => this.#stage(stage, epoch, { packed, append }),
      });
      this.#redo.written(packed);
    } finally {
      this.#committing = false;
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  #stage(stage: Stage, epoch: EpochCommit, { packed, append }: Prepared): void {
    const { state, groups, ledgers } = stage.tables;
    this.#assertOwned(stage.getShared(ledgers, this.#key));
    for (const { topic, partition, offset } of epoch.offsets) {
      this.#parts.topics.partition(topic, partition);
      checkOffset(offset, { topic, partition });
    }
    append(stage);
    // From here on nothing refuses.
    this.#redo.stage(stage, packed);
    stage.put(state, metaKey(this.#state), epoch.meta);
    for (const { topic, partition, offset } of epoch.offsets)
      stage.put(groups, this.#offsetKey(topic, partition), f64(offset));
  }

  #assertOwned(stored: Buffer | undefined): void {
    const fence = stored && (JSON.parse(stored.toString()) as StoredLedger).fence;
    if (fence === this.#fence) return;
    const { id } = this.#options;
    throw new FencedError(
      `Task ${id} was taken over (its ledger was opened again): what this one computed since its last epoch is void.`,
      { context: { ledger: id, fence: this.#fence, storedFence: fence } },
    );
  }

  #offsetKey(topic: string, partition: number): Buffer {
    return namedPartitionKey([this.#options.group, topic], partition);
  }
}

/** What of an epoch was made ready before its write. */
interface Prepared {
  readonly packed: readonly Buffer[];
  readonly append: (stage: Stage) => void;
}

const ZERO = Buffer.from([0]);

function epochBytes(epoch: EpochCommit): number {
  let bytes = epoch.meta.length + 64 * epoch.offsets.length + bytesOf(epoch.appends);
  for (const { key, value } of epoch.state) bytes += key.length + (value?.length ?? 0) + 32;
  return bytes;
}

/** What a group has committed, sorted by topic and partition. */
export function committedOffsets(
  groups: Table,
  group: string,
): (TopicPartition & { offset: number })[] {
  const start = Buffer.from(`${group}\0`);
  const end = Buffer.from(`${group}\x01`);
  const found: (TopicPartition & { offset: number })[] = [];
  for (const { key, value } of groups.getRange({ start, end })) {
    const rest = (key as Buffer).subarray(start.length);
    const nameEnd = rest.indexOf(0);
    found.push({
      topic: rest.toString('utf8', 0, nameEnd),
      partition: rest.readUInt32BE(nameEnd + 1),
      offset: value.readDoubleLE(0),
    });
  }
  return found;
}
