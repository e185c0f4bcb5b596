/** An embedded broker on a fresh directory, its clock in the test's hand, gone when the test is over. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import {
  type Broker,
  type EmbeddedBroker,
  type EmbeddedBrokerOptions,
  openEmbeddedBroker,
} from '../../src/broker/index.ts';
import { ManualClock, silentLogger } from '../../src/runtime/index.ts';

export async function temporaryDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'tidemark-log-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

export interface TemporaryBroker {
  readonly broker: EmbeddedBroker;
  readonly clock: ManualClock;
  readonly directory: string;
  /** Closes it and opens it again over the same directory and clock. */
  reopen(options?: Partial<EmbeddedBrokerOptions>): Promise<EmbeddedBroker>;
}

export async function openTemporaryBroker(
  options: Partial<EmbeddedBrokerOptions> = {},
): Promise<TemporaryBroker> {
  const directory = await temporaryDirectory();
  const clock = new ManualClock(1_700_000_000_000);
  const open = (more: Partial<EmbeddedBrokerOptions> = {}) =>
    openEmbeddedBroker({ directory, clock, logger: silentLogger, ...options, ...more });
  let broker = await open();
  onTestFinished(() => broker.close());
  return {
    broker,
    clock,
    directory,
    reopen: async (more) => {
      await broker.close();
      broker = await open(more);
      return broker;
    },
  };
}

/** Of a task that reads nothing. */
export const ledgerOptions = {
  id: 'task',
  changelog: 'changes',
  partition: 0,
  changelogPartitions: 1,
  group: 'g',
  inputs: [],
};

/** Key (or null), value (or null) and offset of all records from the start, as text. */
export async function recordsIn(
  broker: Broker,
  topic: string,
  partition = 0,
  from = 0,
): Promise<{ offset: number; key: string | null; value: string | null }[]> {
  const records: { offset: number; key: string | null; value: string | null }[] = [];
  for (let next = from; ; ) {
    const batch = await broker.read({ topic, partition, from: next });
    if (!batch) return records;
    const text = (start = -1, end = -1) =>
      start === -1 ? null : batch.bytes.toString('utf8', start, end);
    for (let i = 0; i < batch.count; i++)
      records.push({
        offset: batch.offsets[i] as number,
        key: text(batch.keyStart[i], batch.keyEnd[i]),
        value: text(batch.valueStart[i], batch.valueEnd[i]),
      });
    next = batch.nextOffset;
  }
}
