/**
 * The process that embedded-broker.test.ts kills: appends and commits as fast as it can on the directory it is
 * given, and says each acknowledgement on stdout (a pipe is written synchronously, so what was said was acknowledged).
 *
 *   ready
 *   append <writer> <sequence> <partition> <offset>
 *   commit <task> <epoch>
 *   latest <key> <sequence>
 */
import { openEmbeddedBroker } from '../../src/broker/index.ts';
import { silentLogger, systemClock } from '../../src/runtime/index.ts';
import {
  epochOf,
  keys,
  recordsPerEpoch,
  taskLedger,
  tasks,
  writers,
} from './embedded-broker.load.ts';

const [directory = '', ...progress] = process.argv.slice(2);
/** Where each writer goes on: its highest sequence in the log, as the parent found it. */
const lastSequences = progress.map(Number);

const broker = await openEmbeddedBroker({
  directory,
  clock: systemClock,
  logger: silentLogger,
  maintenanceIntervalMs: 40,
  compactionDirtyBytesMin: 1_000,
});
await broker.createTopics([
  { name: 'in', partitions: 2 },
  { name: 'out', partitions: tasks },
  { name: 'latest', cleanup: 'compact' },
  { name: 'short', retentionBytes: 20_000 },
]);
const say = (...words: (string | number)[]) => process.stdout.write(`${words.join(' ')}\n`);
say('ready');

async function write(writer: number): Promise<never> {
  for (let sequence = (lastSequences[writer] ?? 0) + 1; ; ) {
    // Several records in one call: all of them or none must be there.
    const values = Array.from({ length: 1 + (sequence % 4) }, (_, i) => sequence + i);
    const answers = await broker.append(
      'in',
      values.map((value) => ({
        key: null,
        value: `${writer}:${value}`.padEnd(20 + (value % 300), '.'),
        partition: writer % 2,
      })),
    );
    for (const [i, { partition, offset }] of answers.entries())
      say('append', writer, values[i] as number, partition, offset);
    sequence += values.length;
  }
}

async function commit(task: number): Promise<never> {
  const ledger = await broker.openLedger(taskLedger(task));
  const { meta } = await ledger.restore(() => {});
  for (let epoch = Number(meta ?? 0) + 1; ; epoch++) {
    await ledger.commit(epochOf(task, epoch, recordsPerEpoch));
    say('commit', task, epoch);
  }
}

async function keepLatest(from: number): Promise<never> {
  for (let sequence = from; ; sequence++) {
    const key = sequence % keys;
    await broker.append('latest', [{ key: `${key}`, value: `${sequence}` }]);
    say('latest', key, sequence);
    await broker.append('short', [{ key: null, value: `${sequence}`.padEnd(500, '.') }]);
  }
}

await Promise.all([
  ...Array.from({ length: writers }, (_, writer) => write(writer)),
  ...Array.from({ length: tasks }, (_, task) => commit(task)),
  keepLatest(Number(progress[writers] ?? 0) + 1),
]);
