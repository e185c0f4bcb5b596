/** One process of the entrant (bench/entrant.ts): joins the group, runs its share of the tasks until SIGTERM. */
import { openKafkaBroker } from '../../src/broker/index.ts';
import { createLogger, systemClock } from '../../src/runtime/index.ts';
import { TopologyRunner } from '../../src/stream/index.ts';
import { voteLatencyBetween } from '../../topologies/index.ts';
import { reportProgress } from './progress.ts';

const need = (name: string): string => {
  const value = process.env[name];
  if (value === undefined || value === '') {
    process.stderr.write(`entrant: set ${name}\n`);
    process.exit(2);
  }
  return value;
};

const out = need('BENCH_OUT');
const votes = need('BENCH_TOPIC');
const logger = createLogger({ level: process.env.LOG_LEVEL ?? 'warn' });
const broker = await openKafkaBroker({
  brokers: need('KAFKA_BROKERS').split(','),
  clock: systemClock,
  logger,
});
const runner = new TopologyRunner({
  topology: voteLatencyBetween(
    {
      votes,
      late: `${out}.late`,
      rollups: (step, scope) =>
        step === '5m' && scope === 'validator' ? out : `${out}.${scope}.${step}`,
    },
    `vote-latency-${out.toLowerCase().replaceAll(/[^a-z0-9.-]/g, '-')}`.slice(0, 100),
  ),
  broker,
  clock: systemClock,
  logger,
  groupPrefix: need('BENCH_GROUP'),
  policy: { intervalMs: Number(process.env.BENCH_EPOCH_MS ?? 2_000) },
});
await runner.start();

let stopping = false;
const stop = async () => {
  if (stopping) return;
  stopping = true;
  await runner.stop();
  await broker.close();
  process.exit(0);
};
process.once('SIGTERM', () => void stop());
process.once('SIGINT', () => void stop());
process.once('disconnect', () => void stop());

reportProgress(() =>
  runner.tasks
    .filter((task) => task.stage === 0)
    .flatMap((task) => task.offsets())
    .reduce((sum, { nextOffset }) => sum + nextOffset, 0),
);
