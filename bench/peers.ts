/**
 * The race on one machine in one run: our vote topology, kafkajs that only parses, and the five-minute rollup of
 * validators in Kafka Streams three ways, Flink and Bytewax (at least once). Everyone gets the same topic, one pinned
 * core and a commit every 2 s; a figure counts only when every window is exactly right, and who fails once is out.
 * `npm run bench -- peers [--rounds N] [--records N] [--entrants tidemark,flink]`.
 *
 * Ours does more than the others are asked to: networks, hours, days and moving averages too.
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { openKafkaBroker } from '../src/broker/index.ts';
import { type Entrant, entrantIds, prepareEntrants } from './peers/entrants.ts';
import { benchArguments, required } from './support/arguments.ts';
import { type ConsumerRun, canPin, runConsumer } from './support/consumer-run.ts';
import { number, roundedSpread, show, spread } from './support/figures.ts';
import { removeLeavings } from './support/kafka-leavings.ts';
import { noiseNow, warnOfNoise, writeResults } from './support/results.ts';
import { checkRollups, truthOf } from './support/rollup-check.ts';
import { fillVotesTopic } from './support/votes-topic.ts';

/** The race's own length; shorter ones go into results of their own. */
const RACED = 2_500_000;
const COMMIT_EVERY_MS = 2_000;
/** A commit that takes longer than this after the last record will not come any more. */
const COMMIT_WAIT_MS = 60_000;

const options = benchArguments({ records: RACED, rounds: 3 }, [], { entrants: entrantIds });
const records = options.number('records');
const rounds = options.number('rounds');
const brokers = required('KAFKA_BROKERS').split(',');
const noise = noiseNow();

const folder = await mkdtemp(join(tmpdir(), 'tidemark-peers-'));
const entrants = prepareEntrants(options.list('entrants'), folder);
if (entrants.size === 0) process.exit(1);

const { topic } = await fillVotesTopic(brokers, { records });
const broker = await openKafkaBroker({ brokers });
const truth = await truthOf(broker, topic);
const ends = (await broker.describeTopics([topic]))[0]?.partitions ?? [];
const runs = new Map<Entrant, ConsumerRun[]>([...entrants.values()].map((e) => [e, []]));
const loads: number[] = [];
let windows = 0;
try {
  for (let round = 1; round <= rounds; round++) {
    for (const [entrant, itsRuns] of runs) {
      try {
        const run = await race(entrant);
        itsRuns.push(run);
        report(`${round} ${entrant.name}`, run);
      } catch (error) {
        process.exitCode = 1;
        process.stderr.write(`${entrant.name} is out: ${(error as Error).message}\n`);
        runs.delete(entrant);
      }
    }
  }
} finally {
  await broker.close();
  await rm(folder, { recursive: true });
}
if (runs.size > 0) summarise();

async function race({ script, environment, computes }: Entrant): Promise<ConsumerRun> {
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
          if (Date.now() > giveUpAt) throw new Error(`it did not commit the end of ${topic}`);
          return isCommitted(runId);
        },
      }),
    });
    if (computes) {
      const verdict = await checkRollups(broker, out, truth);
      if (verdict.wrong.length > 0) {
        throw new Error(`it is wrong, so it has no figure:\n${verdict.wrong.join('\n')}`);
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
  const tidemark = entrants.get('tidemark');
  const ours = tidemark && runs.get(tidemark);
  process.stdout.write(
    `\n${number(windows)} windows exactly right in each run. Min / median / max of ${rounds} rounds` +
      `${ours ? '; ratio = ours / theirs in the same round' : ''}:\n`,
  );
  const results: Record<string, Record<string, object>> = {};
  for (const [entrant, theirs] of runs) {
    process.stdout.write(`${entrant.name}\n`);
    const line: Record<string, object> = {};
    for (const [figure, of] of Object.entries(figures)) {
      const values = spread(theirs.map(of));
      const ratios = ours && spread(ours.map((run, i) => of(run) / of(theirs[i] as ConsumerRun)));
      process.stdout.write(
        `  ${figure.padEnd(32)}${show(values, values.median < 100 ? 1 : 0).padEnd(24)}${ratios ? ` ratio ${show(ratios, 2)}` : ''}\n`,
      );
      line[figure] = {
        ...roundedSpread(values),
        ...(ratios && { oursToTheirs: roundedSpread(ratios) }),
      };
    }
    results[entrant.name] = line;
  }
  warnOfNoise(noise);
  const load = spread(loads);
  process.stdout.write(`Load average as each run began: ${show(load, 1)}\n`);
  if (!canPin) process.stdout.write('Entrants were not pinned to one core: taskset is missing.\n');
  writeResults(resultsName(), noise, {
    loadAsRunsBegan: roundedSpread(load),
    records,
    partitions: ends.length,
    commitEveryMs: COMMIT_EVERY_MS,
    pinned: canPin,
    rounds,
    windowsVerified: windows,
    versions: { kafkaStreams: '4.1.1', flink: '2.2.1', bytewax: '0.21.1', tDigest: '3.3' },
    entrants: results,
  });
}

/** A shorter race, or one in which not all start, never replaces the whole one's figures. */
function resultsName(): string {
  return [
    'peers',
    ...(records === RACED ? [] : [records]),
    ...(entrants.size === entrantIds.length ? [] : entrants.keys()),
  ].join('-');
}

function kilo(rate: number): string {
  return number(rate / 1_000, 0);
}
