/** What the killed process writes, and so what its parent expects to find. */
import type { EpochCommit, LedgerOptions } from '../../src/broker/index.ts';

export const writers = 4;
export const tasks = 2;
export const keys = 5;
export const recordsPerEpoch = 3;
/** Every epoch sets all of these to its number: two different numbers would be half an epoch. */
export const cells = 12;

export const taskLedger = (task: number): LedgerOptions => ({
  id: `app-crash-${task}`,
  changelog: 'tidemark.crash.changelog',
  partition: task,
  changelogPartitions: tasks,
  group: 'tidemark.crash',
  inputs: [{ topic: 'in', partition: task }],
});

export const epochOf = (task: number, epoch: number, records: number): EpochCommit => ({
  appends: Array.from({ length: records }, (_, i) => ({
    topic: 'out',
    key: null,
    value: `${epoch}:${i}`,
    partition: task,
  })),
  state: [
    ...Array.from({ length: cells }, (_, cell) => ({
      key: Buffer.from(`cell ${cell}`),
      value: Buffer.from(`${epoch}`),
    })),
    { key: Buffer.from(`only ${epoch}`), value: Buffer.from(`${epoch}`) },
    { key: Buffer.from(`only ${epoch - 1}`), value: null },
  ],
  offsets: [{ topic: 'in', partition: task, offset: epoch }],
  meta: Buffer.from(`${epoch}`),
});
