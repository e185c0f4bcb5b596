/**
 * The entrant in several processes: every window exactly right, exit code 0 on SIGTERM; then the same with one
 * process killed (kill -9) in the middle. `npm run bench -- check-entrant [--records N] [--threads N]`.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { openKafkaBroker } from '../src/broker/index.ts';
import { benchArguments, required } from './support/arguments.ts';
import { number } from './support/figures.ts';
import { removeLeavings } from './support/kafka-leavings.ts';
import { checkRollups, truthOf } from './support/rollup-check.ts';
import { fillVotesTopic } from './support/votes-topic.ts';

const GIVE_UP_MS = 120_000;
const entrant = fileURLToPath(new URL('./entrant.ts', import.meta.url));

const options = benchArguments({ records: 2_500_000, threads: 2 });
const threads = options.number('threads');
const brokers = required('KAFKA_BROKERS').split(',');
const { topic } = await fillVotesTopic(brokers, { records: options.number('records') });
const broker = await openKafkaBroker({ brokers });
const truth = await truthOf(broker, topic);
const ends = (await broker.describeTopics([topic]))[0]?.partitions ?? [];
const total = ends.reduce((sum, { nextOffset }) => sum + nextOffset, 0);

let failed = false;
try {
  failed = (await check(`${threads} processes`, false)) || failed;
  failed = (await check(`${threads} processes, one killed in the middle`, true)) || failed;
} finally {
  await broker.close();
}
process.exitCode = failed ? 1 : 0;

/** Resolves with whether anything was wrong. */
async function check(what: string, kills: boolean): Promise<boolean> {
  const runId = `bench-${randomBytes(5).toString('hex')}`;
  const child = spawn(process.execPath, [entrant], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      ...process.env,
      BENCH_TOPIC: topic,
      BENCH_GROUP: runId,
      BENCH_OUT: `${runId}.out`,
      BENCH_THREADS: String(threads),
      // Shorter epochs: the kill shall fall between many commits.
      BENCH_EPOCH_MS: kills ? '200' : '2000',
    },
  });
  const workers = workersOf(child);
  try {
    if (kills) {
      const from = total * (0.2 + 0.4 * Math.random());
      while ((await committed(runId)) < from) await sleep(5);
      const victim = workers[0] as number;
      process.kill(victim, 'SIGKILL');
      const done = await committed(runId);
      process.stdout.write(`killed process ${victim} with ${number(done)} votes committed\n`);
    }
    const beganMs = performance.now();
    while ((await committed(runId)) < total) {
      if (performance.now() - beganMs > GIVE_UP_MS) throw new Error(`${what}: not through`);
      await sleep(50);
    }
    child.kill('SIGTERM');
    const [code] = await once(child, 'close');
    const { windows, wrong } = await checkRollups(broker, `${runId}.out`, truth);
    if (code !== 0) wrong.push(`it ended with ${code}`);
    const verdict = wrong.length === 0 ? 'exactly right' : `wrong:\n  ${wrong.join('\n  ')}`;
    process.stdout.write(
      `${what}: ${number(windows)} windows of ${number(total)} votes ${verdict}\n`,
    );
    return wrong.length > 0;
  } finally {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGTERM');
      await once(child, 'close');
    }
    await removeLeavings(brokers, runId);
  }
}

async function committed(group: string): Promise<number> {
  const offsets = await broker.committedOffsets(group);
  return offsets.filter((o) => o.topic === topic).reduce((sum, { offset }) => sum + offset, 0);
}

/** Process ids, as bench/support/workers.ts tells them. */
function workersOf(child: ChildProcess): readonly number[] {
  const pids: number[] = [];
  createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
    const { pid } = JSON.parse(line) as { pid?: number };
    if (pid !== undefined) pids.push(pid);
  });
  return pids;
}
