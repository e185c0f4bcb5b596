/**
 * The dashboard in a real Chromium: how soon `npm start` shows votes and this host, and, on `tidemark up` while 10,000
 * votes a second come in, how soon a view has its values and answers a key, and how soon an event is on the page.
 * `npm run bench -- dashboard [--samples N] [--votes-per-second N] [--starts N]`. Chromium: CHROMIUM, or Debian's.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Browser } from 'playwright-core';
import { simulateVotes } from '../src/collect/index.ts';
import { chromiumPath, launchChromium } from '../test/support/browser.ts';
import { benchArguments } from './support/arguments.ts';
import { number, roundedSpread, type Spread, show, spread } from './support/figures.ts';
import { listening, ProbedEngine } from './support/probed-engine.ts';
import { noiseNow, warnOfNoise, writeResults } from './support/results.ts';
import { type Shown, WatchedDashboard } from './support/watched-page.ts';

const FIVE_MINUTES_MS = 300_000;
const POST_EVERY_MS = 50;
/** Votes flow for at most so long; what is measured must be through by then. */
const FLOW_S = 180;
const DIGIT = '[0-9]';
/** What stands there when a view is filled with values. */
const FILLED: Readonly<Record<string, readonly Shown[]>> = {
  overview: [
    ['[data-tile="rate"] .tile-number', DIGIT],
    ['[data-topology="vote-latency"]', 'running'],
    ['[data-topic="votes"]', DIGIT],
  ],
  votes: [
    ['[data-tile="p99"] .tile-number', DIGIT],
    ['[data-validator]', DIGIT],
    ['.bars li', DIGIT],
  ],
  fleet: [
    ['[data-host] .gauge-value', DIGIT],
    ['#host', DIGIT],
  ],
  alerts: [['[data-rule]', DIGIT]],
  topology: [['[data-node="votes"] .node-figure', `${DIGIT}.*kept`]],
};

const options = benchArguments({ samples: 10, 'votes-per-second': 10_000, starts: 3 });
const samples = options.number('samples');
const rate = options.number('votes-per-second');
const noise = noiseNow();
const results: Record<string, Spread> = {};

const executable = chromiumPath();
if (executable === undefined) process.exit(1);
const browser = await launchChromium(executable);
try {
  await measureStarts(browser);
  await measureLive(browser);
} finally {
  await browser.close();
}

function report(what: string, milliseconds: readonly number[]): void {
  results[what] = roundedSpread(spread(milliseconds), 0);
  process.stdout.write(`${what.padEnd(64)} ${show(spread(milliseconds))} ms\n`);
}

/** From `npm start` until a browser that opens the address it prints shows votes and this host. */
async function measureStarts(browser: Browser): Promise<void> {
  const seen: Record<string, number[]> = { listening: [], votes: [], host: [] };
  for (let start = 0; start < options.number('starts'); start++) {
    const beganMs = Date.now();
    const child = spawn('npm', ['start'], {
      cwd: fileURLToPath(new URL('..', import.meta.url)),
      stdio: ['ignore', 'pipe', 'inherit'],
      // npm passes no signal on to what it runs: both are ended as a group.
      detached: true,
    });
    try {
      const url = await listening(child);
      seen.listening?.push(Date.now() - beganMs);
      const pages = [
        ['votes', `${url}/#/votes`, FILLED.votes],
        ['host', `${url}/#/fleet`, FILLED.fleet],
      ] as const;
      await Promise.all(
        pages.map(async ([what, address, shown]) => {
          const { dashboard, report } = await WatchedDashboard.open(browser, address, shown ?? []);
          seen[what]?.push(report.atMs - beganMs);
          await dashboard.close();
        }),
      );
    } finally {
      await endGroup(child);
    }
  }
  process.stdout.write(`npm start, ${options.number('starts')} times; min / median / max\n`);
  report('from npm start until it listens', seen.listening ?? []);
  report('from npm start until the page shows live votes', seen.votes ?? []);
  report('from npm start until the page shows this host', seen.host ?? []);
}

async function endGroup(child: ChildProcess): Promise<void> {
  const ended = new Promise((resolve) => child.once('close', resolve));
  process.kill(-(child.pid as number), 'SIGTERM');
  await ended;
}

async function measureLive(browser: Browser): Promise<void> {
  const engine = await ProbedEngine.start();
  const flowing = new AbortController();
  let flow: Promise<number> | undefined;
  try {
    for (const body of votesByPost(1)) await publish(engine.url, 'votes', body);
    await sleep(2_000);
    await measureViews(browser, engine.url, 'at rest');
    flow = pour(engine.url, votesByPost(FLOW_S), flowing.signal);
    flow.catch(() => flowing.abort());
    await sleep(8_000);
    engine.beginProbe();
    await measureViews(browser, engine.url, 'while votes flow');
    await measureEvents(browser, engine.url);
    const loop = await engine.endProbe();
    flowing.abort();
    const votesPerSecond = Math.round(await flow);
    process.stdout.write(
      `${number(votesPerSecond)} votes/s flowed in; the engine: ${loop.cores} cores, timers waited ${loop.p99} ms (p99), ${loop.max} (max)\n`,
    );
    warnOfNoise(noise);
    writeResults('dashboard', noise, {
      votesPerSecond,
      samples,
      eventLoop: loop,
      milliseconds: results,
    });
  } finally {
    flowing.abort();
    await flow?.catch(() => {});
    await engine.stop();
  }
}

async function measureViews(browser: Browser, url: string, when: string): Promise<void> {
  const answers: number[] = [];
  process.stdout.write(`${samples} times each, nothing cached; min / median / max\n`);
  for (const [view, shown] of Object.entries(FILLED)) {
    const filled: number[] = [];
    // `tidemark up` watches no host of its own.
    if (view === 'fleet') await publishReading(url, 0);
    for (let i = 0; i < samples; i++) {
      const opened = await WatchedDashboard.open(browser, `${url}/#/${view}`, shown);
      filled.push(opened.report.sinceNavigationMs);
      if (view === 'overview')
        answers.push(await opened.dashboard.answersKey('2', FILLED.votes ?? []));
      await opened.dashboard.close();
    }
    report(`${when}: from navigation until ${view} has its values`, filled);
  }
  report(`${when}: from a key on the new page until Votes has its values`, answers);
}

/** Each event is published alone, at no set distance; the page is the only one open. */
async function measureEvents(browser: Browser, url: string): Promise<void> {
  const validator = `Bench${'1'.repeat(39)}`;
  let slot = 1_000;
  const publishVote = (network: string) => {
    const timestamp = Date.now();
    const vote = { validator, voteAccount: validator, network, timestamp };
    slot += 10;
    return publish(
      url,
      'votes',
      JSON.stringify({ ...vote, votedSlot: slot, landedSlot: slot + 2 }),
    );
  };
  const shownHost = (value: number): readonly Shown[] => [
    ['[data-host="bench-host"] .gauge-value', `^${value}(\\.0)? %`],
  ];
  const cases = [
    {
      what: 'from a vote until the network’s tile has it',
      address: '#/votes?network=devnet',
      send: () => publishVote('devnet'),
      shown: (count: number): readonly Shown[] => [
        ['[data-tile="votes"] .tile-number', `^${count}$`],
      ],
    },
    {
      what: 'from a vote until its validator’s count has it',
      address: `#/votes?network=testnet&validator=${validator}`,
      send: () => publishVote('testnet'),
      shown: (count: number): readonly Shown[] => [
        ['#validator .facts', `votes in window${count}last slot`],
      ],
    },
    {
      what: 'from a reading until its host shows it',
      address: '#/fleet',
      send: (count: number) => publishReading(url, count),
      shown: shownHost,
    },
  ];
  for (const { what, address, send, shown } of cases) {
    const times: number[] = [];
    // All of one window, so that counts go on.
    await windowWith(samples * 2_500);
    let count = 1;
    await send(count);
    const { dashboard } = await WatchedDashboard.open(browser, `${url}/${address}`, shown(count));
    for (let i = 0; i < samples; i++) {
      await sleep(200 + Math.random() * 1_000);
      count++;
      const told = dashboard.shows(shown(count));
      const beganMs = Date.now();
      await send(count);
      times.push((await told).atMs - beganMs);
    }
    await dashboard.close();
    report(what, times);
  }
}

/** Waits until the five-minute window has at least so long to go. */
async function windowWith(neededMs: number): Promise<void> {
  const leftMs = FIVE_MINUTES_MS - (Date.now() % FIVE_MINUTES_MS);
  if (leftMs < neededMs) await sleep(leftMs + 100);
}

function publishReading(url: string, percent: number): Promise<void> {
  return publish(
    url,
    'system.metrics',
    JSON.stringify({
      host: 'bench-host',
      region: 'bench',
      environment: 'bench',
      metricType: 'cpu',
      timestamp: Date.now(),
      fields: { usage_percent: percent },
    }),
  );
}

/** Made before they flow, so that making them costs nothing while they do. */
function votesByPost(seconds: number): readonly Buffer[] {
  const perPost = Math.round((rate * POST_EVERY_MS) / 1_000);
  const posts = (seconds * 1_000) / POST_EVERY_MS;
  const votes = simulateVotes({ seed: 1, startMs: Date.now(), ratePerSecond: rate });
  return Array.from({ length: posts }, () => {
    const parts: Buffer[] = [];
    for (let i = 0; i < perPost; i++) {
      const vote = votes.next().value;
      if (vote !== undefined) parts.push(vote.value, Buffer.from('\n'));
    }
    return Buffer.concat(parts);
  });
}

/** Publishes at its pace; catches up after a slow answer. Resolves with votes per second. */
async function pour(url: string, bodies: readonly Buffer[], signal: AbortSignal): Promise<number> {
  const beganMs = performance.now();
  let sent = 0;
  while (!signal.aborted) {
    const due = Math.floor((performance.now() - beganMs) / POST_EVERY_MS);
    if (due > bodies.length) throw new Error(`not through after ${FLOW_S} s`);
    while (sent < due) await publish(url, 'votes', bodies[sent++] as Buffer);
    await sleep(POST_EVERY_MS / 2);
  }
  const votes = (sent * rate * POST_EVERY_MS) / 1_000;
  return (1_000 * votes) / (performance.now() - beganMs);
}

async function publish(url: string, topic: string, body: string | Buffer): Promise<void> {
  const response = await fetch(`${url}/v1/topics/${topic}/records`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson' },
    body,
  });
  if (!response.ok) throw new Error(`publish: ${response.status} ${await response.text()}`);
  await response.arrayBuffer();
}
