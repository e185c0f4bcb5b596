/**
 * The whole vote topology on Kafka with epochs on, beside a raw kafkajs consumer that only calls JSON.parse:
 * one core each, in turns, from spawn to the last record and to the last commit. A run of ours counts only
 * when every window is exactly right. `npm run bench -- pipeline [--records N] [--pairs N] [--epoch-ms N]`.
 */
import { randomBytes } from 'node:crypto';
import { openKafkaBroker } from '../src/broker/index.ts';
import { benchArguments, required } from './support/arguments.ts';
import { type ConsumerRun, canPin, runConsumer } from './support/consumer-run.ts';
import { number, rounded, roundedSpread, type Spread, show, spread } from './support/figures.ts';
import { removeLeavings } from './support/kafka-leavings.ts';
import { noiseNow, warnOfNoise, writeResults } from './support/results.ts';
import { checkRollups, truthOf } from './support/rollup-check.ts';
import { fillVotesTopic } from './support/votes-topic.ts';

const options = benchArguments({ records: 2_500_000, pairs: 3, 'epoch-ms': 2_000 });
const records = options.number('records');
const pairs = options.number('pairs');
const epochMs = options.number('epoch-ms');
const brokers = required('KAFKA_BROKERS').split(',');
const noise = noiseNow();

const { topic } = await fillVotesTopic(brokers, { records });
const broker = await openKafkaBroker({ brokers });
process.stdout.write(`${number(records)} votes in ${topic}; working out what must come of them\n`);
const truth = await truthOf(broker, topic);
const ends = (await broker.describeTopics([topic]))[0]?.partitions ?? [];

const ours: ConsumerRun[] = [];
const raw: ConsumerRun[] = [];
let windows = 0;
for (let pair = 1; pair <= pairs; pair++) {
  ours.push(await runOurs());
  report(`ours ${pair}`, ours.at(-1) as ConsumerRun);
  raw.push(await runRaw());
  report(`raw  ${pair}`, raw.at(-1) as ConsumerRun);
}
await broker.close();
summarise();

async function runOurs(): Promise<ConsumerRun> {
  const runId = `bench-${randomBytes(5).toString('hex')}`;
  try {
    const run = await runConsumer({
      script: 'entrant',
      records,
      environment: {
        BENCH_TOPIC: topic,
        BENCH_GROUP: runId,
        BENCH_OUT: `${runId}.out`,
        BENCH_EPOCH_MS: String(epochMs),
      },
      async committed() {
        const offsets = await broker.committedOffsets(runId);
        return ends.every(({ partition, nextOffset }) =>
          offsets.some(
            (o) => o.topic === topic && o.partition === partition && o.offset === nextOffset,
          ),
        );
      },
    });
    const verdict = await checkRollups(broker, `${runId}.out`, truth);
    if (verdict.wrong.length > 0) {
      throw new Error(`the rollups are wrong, so there is no figure:\n${verdict.wrong.join('\n')}`);
    }
    windows = verdict.windows;
    return run;
  } finally {
    await removeLeavings(brokers, runId);
  }
}

async function runRaw(): Promise<ConsumerRun> {
  const runId = `bench-${randomBytes(5).toString('hex')}`;
  try {
    return await runConsumer({
      script: 'raw-consumer',
      records,
      environment: { BENCH_TOPIC: topic, BENCH_GROUP: runId },
    });
  } finally {
    await removeLeavings(brokers, runId);
  }
}

function report(who: string, run: ConsumerRun): void {
  const { processedS, committedS, warmRate, cpuMs, rssPeakMiB, rssMiB, firstRecordS } = run;
  process.stdout.write(
    `${who}: all ${kilo(records / processedS)} k/s, warm ${kilo(warmRate)} k/s, first record after ${number(firstRecordS, 2)} s, ` +
      `${number(cpuMs / 1_000, 2)} CPU s, RSS ${rssMiB.join('/')} peak ${rssPeakMiB} MiB` +
      `${committedS === undefined ? '' : `, all committed after ${number(committedS, 2)} s`}\n`,
  );
}

function summarise(): void {
  const of = (runs: readonly ConsumerRun[], figure: (run: ConsumerRun) => number): Spread =>
    spread(runs.map(figure));
  const all = (run: ConsumerRun) => records / run.processedS;
  const warm = (run: ConsumerRun) => run.warmRate;
  const committed = (run: ConsumerRun) => records / (run.committedS ?? run.processedS);
  const cpu = (run: ConsumerRun) => run.cpuMs / 1_000 / (records / 1e6);
  const peak = (run: ConsumerRun) => run.rssPeakMiB;
  const startUp = (run: ConsumerRun) => run.cpuBeforeFirstMs / 1_000;
  const ratio = (figure: (run: ConsumerRun) => number): Spread =>
    spread(ours.map((run, i) => figure(run) / figure(raw[i] as ConsumerRun)));

  process.stdout.write(
    `\n${number(windows)} windows exactly right in each run of ours. Min / median / max of ${pairs} pairs:\n`,
  );
  const figures = {
    'all, records/s': [all, 0],
    'warm, records/s': [warm, 0],
    'all and committed, records/s': [committed, 0],
    'CPU s per M records': [cpu, 2],
    'CPU s before the first record': [startUp, 2],
    'peak RSS, MiB': [peak, 0],
  } as const;
  const results: Record<string, object> = {};
  for (const [name, [figure, decimals]] of Object.entries(figures)) {
    process.stdout.write(
      `${name.padEnd(30)} ours ${show(of(ours, figure), decimals)}   raw ${show(of(raw, figure), decimals)}   ratio ${show(ratio(figure), 2)}\n`,
    );
    results[name] = {
      ours: roundedSpread(of(ours, figure)),
      raw: roundedSpread(of(raw, figure)),
      ratio: roundedSpread(ratio(figure)),
    };
  }
  const quarters = (runs: readonly ConsumerRun[]) =>
    [0, 1, 2, 3].map((i) => rounded(of(runs, (run) => run.rssMiB[i] as number).median, 0));
  process.stdout.write(
    `RSS at 25/50/75/100 %, MiB        ours ${quarters(ours).join('/')}   raw ${quarters(raw).join('/')}\n`,
  );
  warnOfNoise(noise);
  if (!canPin) process.stdout.write('Consumers were not pinned to one core: taskset is missing.\n');
  writeResults(records === 2_500_000 ? 'pipeline' : `pipeline-${records}`, noise, {
    records,
    partitions: ends.length,
    epochMs,
    pinned: canPin,
    pairs,
    windowsVerified: windows,
    figures: results,
    rssAtQuartersMiB: { ours: quarters(ours), raw: quarters(raw) },
  });
}

function kilo(rate: number): string {
  return number(rate / 1_000, 0);
}
