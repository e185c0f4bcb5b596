/**
 * `tidemark up` on the embedded log while 10,000 votes a second come in over HTTP: how fast do the live
 * endpoints answer, asked by another process? Windows of all 2,000 validators close in the middle of it.
 * Who sends the votes is not what is measured and should not eat the machine's cores: bodies are made beforehand
 * and go over one connection. What the machine allows beside all this is how fast an idle server answers.
 * `npm run bench -- live [--seconds N] [--votes-per-second N] [--requests-per-second N]`.
 */
import { execFile, spawn } from 'node:child_process';
import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type SimulatedVote, simulateVotes } from '../src/collect/index.ts';
import { benchArguments } from './support/arguments.ts';
import { number, percentile, roundedSpread, type Spread, show, spread } from './support/figures.ts';
import { listening, ProbedEngine } from './support/probed-engine.ts';
import { noiseNow, warnOfNoise, writeResults } from './support/results.ts';

const ROUNDS = 3;
/** Asked beforehand, so that no round measures code that has never run. */
const WARM_UP_S = 4;
const FIVE_MINUTES_MS = 300_000;
const POST_EVERY_MS = 50;
/**
 * So many seconds of votes are in before anyone asks, a tenth of them: a first window has closed at 40 s, as in an
 * engine that has run for a while. The one that ends at 310 s closes at 340 s, while it is asked.
 */
const AHEAD_S = 330;
const AHEAD_SHARE = 10;
/** Votes are made for so much longer than anyone asks: askers take a moment to start. */
const SPARE_S = 20;
const SORTS = ['p99', 'p95', 'p50', 'mean', 'count', 'lastSlot', 'id'] as const;

const options = benchArguments({
  seconds: 30,
  'votes-per-second': 10_000,
  'requests-per-second': 50,
});
const seconds = options.number('seconds');
const rate = options.number('votes-per-second');
const { validator, ahead, flowing } = bodies();
const noise = noiseNow();

const engine = await ProbedEngine.start();
const idle = spawn(
  process.execPath,
  [fileURLToPath(new URL('./support/idle-server.ts', import.meta.url))],
  { stdio: ['ignore', 'pipe', 'inherit'] },
);
const connection = new Agent({ keepAlive: true, maxSockets: 1 });
try {
  await measure(engine.url, await listening(idle));
} finally {
  connection.destroy();
  idle.kill();
  await engine.stop();
}

/** Bodies of requests, each of the votes of POST_EVERY_MS. */
function bodies(): { validator: string; ahead: Buffer[]; flowing: Buffer[] } {
  const startMs = Math.floor(Date.now() / FIVE_MINUTES_MS - 2) * FIVE_MINUTES_MS - 10_000;
  const votes = simulateVotes({ seed: 1, startMs, ratePerSecond: rate });
  const next = () => votes.next().value as SimulatedVote;
  const first = next();
  const newline = Buffer.from('\n');
  const perBody = Math.round((rate * POST_EVERY_MS) / 1_000);
  const body = () => Array.from({ length: perBody }, () => next().value);
  const take = (forSeconds: number, share = 1) =>
    Array.from({ length: Math.ceil((forSeconds * rate) / perBody / share) }, () => {
      for (let skipped = 1; skipped < share; skipped++) body();
      return Buffer.concat(body().flatMap((v) => [v, newline]));
    });
  return {
    validator: first.key.toString(),
    ahead: take(AHEAD_S, AHEAD_SHARE),
    flowing: take(seconds + SPARE_S),
  };
}

async function measure(url: string, idleUrl: string): Promise<void> {
  for (const body of ahead) await publish(url, body);
  while ((await lag(url)) > rate / 10) await sleep(100);

  const stop = new AbortController();
  const flow = pour(url, stop.signal);
  await sleep(1_000);
  const routes = [
    ...SORTS.map((sort) => `/v1/live/validators?limit=50&sort=${sort}`),
    `/v1/live/validators/${validator}`,
    '/v1/live/networks/testnet',
    '/health',
    `${idleUrl}/`,
  ];
  const rounds: Record<string, number[]>[] = [];
  await ask(url, WARM_UP_S, routes);
  engine.beginProbe();
  for (let round = 0; round < ROUNDS; round++) {
    rounds.push(await ask(url, seconds / ROUNDS, routes));
  }
  const lagAtEnd = await lag(url);
  const loop = await engine.endProbe();
  stop.abort();
  report(routes, rounds, await flow, lagAtEnd, loop);
}

/** Publishes at the pace of the votes; catches up after a slow answer. Resolves with votes per second. */
async function pour(url: string, stop: AbortSignal): Promise<number> {
  const beganMs = performance.now();
  let sent = 0;
  while (!stop.aborted) {
    const due = (performance.now() - beganMs) / POST_EVERY_MS;
    for (; sent < due; sent++) {
      const body = flowing[sent];
      if (body === undefined) throw new Error('all votes are sent and it is still asked');
      await publish(url, body);
    }
    await sleep(Math.max(0, sent * POST_EVERY_MS - (performance.now() - beganMs)));
  }
  return (sent * POST_EVERY_MS * rate) / (performance.now() - beganMs);
}

function publish(url: string, body: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const sending = request(
      `${url}/v1/topics/votes/records`,
      {
        method: 'POST',
        agent: connection,
        headers: { 'content-type': 'application/x-ndjson', 'content-length': body.length },
      },
      (response) => {
        response.resume();
        response.on('end', () => {
          if (response.statusCode === 200 || response.statusCode === 201) resolve();
          else reject(new Error(`publish: ${response.statusCode}`));
        });
      },
    );
    sending.on('error', reject);
    sending.end(body);
  });
}

/** Votes that the engine has taken and not rolled up yet. */
async function lag(url: string): Promise<number> {
  const response = await fetch(`${url}/v1/topologies/vote-latency`);
  const { tasks } = (await response.json()) as { tasks: { offsets: { lag: number }[] }[] };
  return tasks.flatMap(({ offsets }) => offsets).reduce((sum, offset) => sum + offset.lag, 0);
}

async function ask(
  url: string,
  forSeconds: number,
  routes: readonly string[],
): Promise<Record<string, number[]>> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [
      fileURLToPath(new URL('./support/live-asker.ts', import.meta.url)),
      url,
      String(forSeconds),
      String(options.number('requests-per-second')),
      ...routes,
    ],
    { maxBuffer: 64 * 1024 * 1024 },
  );
  return JSON.parse(stdout) as Record<string, number[]>;
}

function report(
  routes: readonly string[],
  rounds: readonly Record<string, number[]>[],
  votesPerSecond: number,
  lagAtEnd: number,
  loop: Readonly<Record<string, number>>,
): void {
  process.stdout.write(
    `${number(votesPerSecond)} votes/s flowed in; ${number(lagAtEnd)} waited at the end. ms, min / median / max of ${ROUNDS} rounds:\n`,
  );
  const results: Record<string, Record<string, Spread>> = {};
  const live = routes.filter((route) => route.startsWith('/v1/live/'));
  const line = (name: string, of: readonly string[]) => {
    const sorted = rounds.map((times) =>
      of.flatMap((route) => times[route] ?? []).sort((a, b) => a - b),
    );
    const at = (q: number) => spread(sorted.map((times) => percentile(times, q)));
    const figures = { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1) };
    const text = Object.entries(figures).map(([q, values]) => `${q} ${show(values, 1)}`);
    process.stdout.write(`${name.padEnd(44)} ${text.join('   ')}\n`);
    results[name] = Object.fromEntries(
      Object.entries(figures).map(([q, values]) => [q, roundedSpread(values)]),
    );
  };
  for (const route of routes) {
    const name = route.replace(/validators\/\w+$/, 'validators/:id');
    line(name.startsWith('http:') ? 'an idle server beside it' : name, [route]);
  }
  line('all live endpoints', live);
  const together = rounds
    .flatMap((times) => live.flatMap((route) => times[route] ?? []))
    .sort((a, b) => a - b);
  const p99OfAll = Math.round(percentile(together, 0.99) * 10) / 10;
  process.stdout.write(`all live endpoints, all rounds together: p99 ${p99OfAll} ms\n`);
  process.stdout.write(
    `the engine's event loop: timers waited ${loop.p50} (p50), ${loop.p99} (p99), ${loop.p999} (p99.9), ${loop.max} ms (max); ${loop.cores} cores\n`,
  );
  warnOfNoise(noise);
  writeResults('live', noise, {
    votesPerSecond: Math.round(votesPerSecond),
    requestsPerSecond: options.number('requests-per-second'),
    seconds,
    lagAtEnd,
    eventLoop: loop,
    milliseconds: results,
    p99OfAllRoundsMs: p99OfAll,
  });
}
