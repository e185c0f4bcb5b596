/** The ceiling of the client beneath: kafkajs `eachBatch` with tuned fetch sizes that only calls JSON.parse. */
import { Kafka, logLevel } from 'kafkajs';
import { reportProgress } from './support/progress.ts';

const kafka = new Kafka({
  brokers: (process.env.KAFKA_BROKERS ?? '').split(','),
  logLevel: logLevel.ERROR,
});
const consumer = kafka.consumer({
  groupId: process.env.BENCH_GROUP ?? 'raw',
  maxBytesPerPartition: 2 * 1024 * 1024,
  maxBytes: 16 * 1024 * 1024,
  maxWaitTimeInMs: 100,
});
let records = 0;
/** Only so that what is parsed is also used. */
let latencySlots = 0;
await consumer.connect();
await consumer.subscribe({ topic: process.env.BENCH_TOPIC ?? 'votes', fromBeginning: true });
await consumer.run({
  autoCommit: false,
  partitionsConsumedConcurrently: 8,
  eachBatch: async ({ batch }) => {
    for (const { value } of batch.messages) {
      const vote = JSON.parse((value as Buffer).toString()) as {
        landedSlot: number;
        votedSlot: number;
      };
      latencySlots += vote.landedSlot - vote.votedSlot;
      records++;
    }
  },
});
reportProgress(() => records);
process.once('SIGTERM', () => {
  if (!Number.isSafeInteger(latencySlots)) process.exitCode = 1;
  process.exit();
});
