/**
 * The race on one machine in one run: our vote topology, kafkajs that only parses, and the five-minute rollup of
 * validators in Kafka Streams three ways. Everyone gets the same topic, one pinned core and a commit every 2 s;
 * a figure counts only when every window is exactly right. `npm run bench -- peers [--rounds N] [--records N]`.
 *
 * Ours does more than the others are asked to: networks, hours, days and moving averages too.
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { openKafkaBroker } from '../src/broker/index.ts';
import { prepareKafkaStreams } from './peers/java.ts';
import { benchArguments, required } from './support/arguments.ts';
import { type ConsumerRun, canPin, runConsumer } from './support/consumer-run.ts';
import { number, roundedSpread, show, spread } from './support/figures.ts';
import { removeLeavings } from './support/kafka-leavings.ts';
import { noiseNow, warnOfNoise, writeResults } from './support/results.ts';
import { checkRollups, truthOf } from './support/rollup-check.ts';
import { fillVotesTopic } from './support/votes-topic.ts';

const COMMIT_EVERY_MS = 2_000;
/** A commit that takes longer than this after the last record will not come any more. */
const COMMIT_WAIT_MS = 60_000;

interface Entrant {
  readonly name: string;
  readonly script: 'entrant' | 'raw-consumer' | readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** Whether it writes rollups and commits; what only parses has nothing to check. */
  readonly computes: boolean;
}

const options = benchArguments({ records: 2_500_000, rounds: 3 });
const records = options.number('records');
const rounds = options.number('rounds');
const brokers = required('KAFKA_BROKERS').split(',');
const noise = noiseNow();

const folder = await mkdtemp(join(tmpdir(), 'tidemark-peers-'));
const java = prepareKafkaStreams(join(folder, 'classes'));
const entrants: readonly Entrant[] = [
  { name: 'Tidemark', script: 'entrant', computes: true },
  { name: 'kafkajs, parse only', script: 'raw-consumer', computes: false },
  { name: 'Kafka Streams, Processor API', script: java('Expert'), computes: true },
  {
    name: 'Kafka Streams, DSL in memory',
    script: java('Dsl'),
    environment: { BENCH_STORES: 'memory' },
    computes: true,
  },
  {
    name: 'Kafka Streams, DSL on RocksDB',
    script: java('Dsl'),
    environment: { BENCH_STORES: 'rocksdb' },
    computes: true,
  },
];

const { topic } = await fillVotesTopic(brokers, { records });
const broker = await openKafkaBroker({ brokers });
const truth = await truthOf(broker, topic);
const ends = (await broker.describeTopics([topic]))[0]?.partitions ?? [];
const runs = new Map<Entrant, ConsumerRun[]>(entrants.map((entrant) => [entrant, []]));
const loads: number[] = [];
let windows = 0;
try {
  for (let round = 1; round <= rounds; round++) {
    for (const entrant of entrants) {
      const run = await race(entrant);
      runs.get(entrant)?.push(run);
      report(`${round} ${entrant.name}`, run);
    }
  }
} finally {
  await broker.close();
  await rm(folder, { recursive: true });
}
summarise();

async function race({ name, script, environment, computes }: Entrant): Promise<ConsumerRun> {
  const runId = `bench-${randomBytes(5).toString('hex')}`;
  const out = `${runId}.out`;
  let giveUpAt = 0;
  try {
    if (computes) await broker.createTopics([{ name: out, partitions: ends.length }]);
    loads.push(loadavg()[0] as number);
    const run = await runConsumer({
      script,
      records,
      environment: {
        BENCH_TOPIC: topic,
        BENCH_GROUP: runId,
        BENCH_OUT: out,
        BENCH_EPOCH_MS: String(COMMIT_EVERY_MS),
        BENCH_STATE: join(folder, runId),
        ...environment,
      },
      ...(computes && {
        committed: () => {
          giveUpAt ||= Date.now() + COMMIT_WAIT_MS;
          if (Date.now() > giveUpAt) throw new Error(`${name} did not commit the end of ${topic}`);
          return isCommitted(runId);
        },
      }),
    });
    if (computes) {
      const verdict = await checkRollups(broker, out, truth);
      if (verdict.wrong.length > 0) {
        throw new Error(`${name} is wrong, so it has no figure:\n${verdict.wrong.join('\n')}`);
      }
      windows = verdict.windows;
    }
    return run;
  } finally {
    await removeLeavings(brokers, runId);
  }
}

async function isCommitted(group: string): Promise<boolean> {
  const offsets = await broker.committedOffsets(group);
  return ends.every(({ partition, nextOffset }) =>
    offsets.some((o) => o.topic === topic && o.partition === partition && o.offset === nextOffset),
  );
}

function report(who: string, run: ConsumerRun): void {
  const { processedS, committedS, warmRate, cpuMs, rssPeakMiB } = run;
  process.stdout.write(
    `${who}: all ${kilo(records / processedS)} k/s, warm ${kilo(warmRate)} k/s, ${number(cpuMs / 1_000, 1)} CPU s, peak RSS ${rssPeakMiB} MiB` +
      `${committedS === undefined ? '' : `, all committed after ${number(committedS, 2)} s`}, load ${number(loads.at(-1) as number, 1)}\n`,
  );
}

function summarise(): void {
  const figures: Readonly<Record<string, (run: ConsumerRun) => number>> = {
    'all, k records/s': (run) => records / run.processedS / 1_000,
    'warm, k records/s': (run) => run.warmRate / 1_000,
    'all and committed, k records/s': (run) => records / (run.committedS ?? run.processedS) / 1_000,
    'CPU s per M records': (run) => run.cpuMs / 1_000 / (records / 1e6),
    'peak RSS, MiB': (run) => run.rssPeakMiB,
  };
  const ours = runs.get(entrants[0] as Entrant) as ConsumerRun[];
  process.stdout.write(
    `\n${number(windows)} windows exactly right in each run. Min / median / max of ${rounds} rounds; ratio = ours / theirs in the same round:\n`,
  );
  const results: Record<string, Record<string, object>> = {};
  for (const [entrant, theirs] of runs) {
    process.stdout.write(`${entrant.name}\n`);
    const line: Record<string, object> = {};
    for (const [figure, of] of Object.entries(figures)) {
      const values = spread(theirs.map(of));
      const ratios = spread(ours.map((run, i) => of(run) / of(theirs[i] as ConsumerRun)));
      process.stdout.write(
        `  ${figure.padEnd(32)}${show(values, values.median < 100 ? 1 : 0).padEnd(24)} ratio ${show(ratios, 2)}\n`,
      );
      line[figure] = { ...roundedSpread(values), oursToTheirs: roundedSpread(ratios) };
    }
    results[entrant.name] = line;
  }
  warnOfNoise(noise);
  const load = spread(loads);
  process.stdout.write(`Load average as each run began: ${show(load, 1)}\n`);
  if (!canPin) process.stdout.write('Entrants were not pinned to one core: taskset is missing.\n');
  writeResults(records === 2_500_000 ? 'peers' : `peers-${records}`, noise, {
    loadAsRunsBegan: roundedSpread(load),
    records,
    partitions: ends.length,
    commitEveryMs: COMMIT_EVERY_MS,
    pinned: canPin,
    rounds,
    windowsVerified: windows,
    versions: { kafkaStreams: '4.1.1', tDigest: '3.3' },
    entrants: results,
  });
}

function kilo(rate: number): string {
  return number(rate / 1_000, 0);
}
