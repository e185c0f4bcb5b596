/**
 * The embedded log's rates on this machine: appending, reading back, consuming, and committing epochs, each with
 * every write fsynced. Run alone: `node bench/embedded-log.ts [rounds]`; prints min, median and max of the rounds.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openEmbeddedBroker, type ProducerRecord } from '../src/broker/index.ts';
import { silentLogger, systemClock } from '../src/runtime/index.ts';

const RECORD_BYTES = 250;
const RECORDS = 200_000;
const RECORDS_PER_APPEND = 2_000;
const STATE_ENTRIES = 5_000;

const rounds = Number(process.argv[2] ?? 5);
const directory = await mkdtemp(join(tmpdir(), 'tidemark-bench-'));
const broker = await openEmbeddedBroker({ directory, clock: systemClock, logger: silentLogger });

/** Figures of one measure, in the order taken. */
const figures = new Map<string, number[]>();

async function measure(name: string, amount: number, action: () => Promise<void>): Promise<void> {
  const start = process.hrtime.bigint();
  await action();
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  const taken = figures.get(name) ?? [];
  taken.push(amount / seconds);
  figures.set(name, taken);
}

const value = Buffer.alloc(RECORD_BYTES - 44, '{"validator":"x"} ');
const batch: ProducerRecord[] = Array.from({ length: RECORDS_PER_APPEND }, (_, i) => ({
  key: `validator-${i % 2_000}`.padEnd(44, '1'),
  value,
  partition: 0,
}));

for (let round = 0; round < rounds; round++) {
  const topic = `votes-${round}`;
  const single = `single-${round}`;
  await broker.createTopics([{ name: topic }, { name: single }, { name: `derived-${round}` }]);

  await measure('append, records/s (2,000 per call, one caller)', RECORDS, async () => {
    for (let i = 0; i < RECORDS; i += RECORDS_PER_APPEND) await broker.append(topic, batch);
  });
  await measure('append, calls/s (1 record, 64 callers)', 6_400, async () => {
    await Promise.all(
      Array.from({ length: 64 }, async () => {
        for (let i = 0; i < 100; i++)
          await broker.append(single, [{ key: null, value, partition: 0 }]);
      }),
    );
  });
  await measure('append, calls/s (1 record, one caller)', 300, async () => {
    for (let i = 0; i < 300; i++) await broker.append(single, [{ key: null, value, partition: 0 }]);
  });
  await measure('read, records/s', RECORDS, async () => {
    let from = 0;
    for (;;) {
      const records = await broker.read({ topic, partition: 0, from });
      if (!records) break;
      from = records.nextOffset;
    }
    if (from !== RECORDS) throw new Error(`read ${from} of ${RECORDS}`);
  });
  await measure('consume, records/s', RECORDS, async () => {
    let seen = 0;
    await new Promise<void>((resolve, reject) => {
      void broker.consume({
        group: `bench-${round}`,
        topics: [topic],
        handlers: {
          assigned: async (partitions) => partitions.map((one) => ({ ...one, offset: 0 })),
          revoked: async () => {},
          failed: reject,
          batch: (records) => {
            seen += records.count;
            if (seen === RECORDS) resolve();
            return true;
          },
        },
      });
    });
  });

  const ledgers = await Promise.all(
    [0, 1, 2, 3].map((partition) =>
      broker.openLedger({
        id: `task-${round}-${partition}`,
        changelog: `changelog-${round}`,
        partition,
        changelogPartitions: 4,
        group: `group-${round}`,
        inputs: [],
      }),
    ),
  );
  const state = Array.from({ length: STATE_ENTRIES }, (_, i) => ({
    key: Buffer.from(`validator-${i}`.padEnd(44, '1')),
    value: Buffer.alloc(200, i),
  }));
  const epochs = 5;
  const epoch = (partition: number) => ({
    appends: batch.slice(0, 100).map((record) => ({ ...record, topic: `derived-${round}` })),
    state,
    offsets: [{ topic, partition: 0, offset: partition }],
    meta: Buffer.from('{}'),
  });
  await measure(
    'commit, epochs/s (5,000 state entries, 100 records; 4 tasks)',
    4 * epochs,
    async () => {
      await Promise.all(
        ledgers.map(async (ledger, partition) => {
          for (let i = 0; i < epochs; i++) await ledger.commit(epoch(partition));
        }),
      );
    },
  );
  await measure('restore, entries/s', STATE_ENTRIES, async () => {
    await ledgers[0]?.restore(() => {});
  });
}

await broker.close();
await rm(directory, { recursive: true });

const show = (figure: number) => Math.round(figure).toLocaleString('en').padStart(12);
process.stdout.write(`${'min'.padStart(12)}${'median'.padStart(12)}${'max'.padStart(12)}\n`);
for (const [name, taken] of figures) {
  taken.sort((a, b) => a - b);
  const median = taken[Math.floor(taken.length / 2)] as number;
  process.stdout.write(
    `${show(taken[0] as number)}${show(median)}${show(taken.at(-1) as number)}  ${name}\n`,
  );
}
