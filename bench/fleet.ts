/**
 * `tidemark up` on the embedded log while a simulated fleet reports over HTTP: does it keep up, at what cost, and how
 * fast do the fleet's endpoints answer meanwhile? A point is one field of one reading, as KairosDB stores it.
 * `npm run bench -- fleet [--hosts N] [--points-per-second N] [--seconds N] [--requests-per-second N]`.
 */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { hostName, READINGS_PER_HOST, simulateFleet } from '../src/collect/index.ts';
import type { SystemMetric } from '../src/model/index.ts';
import { benchArguments } from './support/arguments.ts';
import { number, percentile } from './support/figures.ts';
import { ProbedEngine } from './support/probed-engine.ts';
import { noiseNow, warnOfNoise, writeResults } from './support/results.ts';

const POST_EVERY_MS = 100;

const options = benchArguments({
  hosts: 500,
  'points-per-second': 10_000,
  seconds: 40,
  'requests-per-second': 10,
});
const hosts = options.number('hosts');
const rate = options.number('points-per-second');
const seconds = options.number('seconds');
const noise = noiseNow();

const engine = await ProbedEngine.start();
try {
  await measure(engine.url);
} finally {
  await engine.stop();
}

async function measure(url: string): Promise<void> {
  const startMs = Date.now();
  const perRound = [...simulateFleet({ hosts, startMs, durationMs: 10_000 })]
    .map(pointsOf)
    .reduce((a, b) => a + b, 0);
  // So often does each host report that the rate comes out, in real time.
  const intervalMs = Math.max(1, Math.round((1_000 * perRound) / rate));
  const readings = simulateFleet({ hosts, startMs, intervalMs });

  const flowing = new AbortController();
  const flow = pour(url, readings, flowing.signal);
  await sleep(5_000);
  const host = hostName(0);
  const routes = [
    '/v1/fleet/hosts',
    `/v1/fleet/hosts/${host}`,
    `/v1/fleet/compare?field=usage_percent&step=5m&hosts=${[0, 1, 2, 3, 4].map(hostName).join(',')}`,
    `/v1/fleet/forecast?host=${host}&mount=/data`,
    '/v1/fleet/anomalies',
  ];
  engine.beginProbe();
  const times = await ask(url, seconds, routes);
  const behind = await lag(url);
  const memory = await residentMb(engine.pid);
  const loop = await engine.endProbe();
  flowing.abort();
  const points = await flow;
  const line = (text: string) => process.stdout.write(`${text}\n`);
  const perHost = Math.round(perRound / hosts);
  line(
    `${number(hosts)} hosts of ${perHost} points in ${READINGS_PER_HOST} readings, each ${intervalMs} ms`,
  );
  line(`${number(points)} points/s flowed in for ${seconds} s; at the end, records behind:`);
  for (const [name, count] of Object.entries(behind)) line(`  ${name.padEnd(40)} ${number(count)}`);
  line(
    `${number(memory)} MB resident; ${loop.cores} cores; timers waited ${loop.p99} ms (p99), ${loop.max} (max)`,
  );
  const milliseconds: Record<string, Record<string, number>> = {};
  for (const route of routes) {
    const name = route.replace(/\?.*/, '').replace(/hosts\/.+/, 'hosts/:host');
    const sorted = (times[route] ?? []).sort((a, b) => a - b);
    const at = (q: number) => Math.round(10 * percentile(sorted, q)) / 10;
    milliseconds[name] = { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1) };
    line(`${name.padEnd(30)} ${JSON.stringify(milliseconds[name])} ms`);
  }
  warnOfNoise(noise);
  writeResults(`fleet-${hosts}`, noise, {
    hosts,
    pointsPerSecond: Math.round(points),
    seconds,
    behind,
    residentMb: memory,
    eventLoop: loop,
    milliseconds,
  });
}

function pointsOf(reading: SystemMetric): number {
  return Object.keys(reading.fields).length;
}

/** Publishes each reading at its own time. Resolves with points per second. */
async function pour(
  url: string,
  readings: Generator<SystemMetric, void>,
  signal: AbortSignal,
): Promise<number> {
  const beganMs = Date.now();
  let points = 0;
  let next = readings.next().value;
  while (!signal.aborted) {
    const lines: string[] = [];
    const now = Date.now();
    while (next instanceof Object && next.timestamp <= now) {
      points += pointsOf(next);
      lines.push(JSON.stringify(next));
      next = readings.next().value;
    }
    if (lines.length > 0) await publish(url, lines);
    await sleep(POST_EVERY_MS);
  }
  return (1_000 * points) / (Date.now() - beganMs);
}

async function publish(url: string, lines: readonly string[]): Promise<void> {
  const response = await fetch(`${url}/v1/topics/system.metrics/records`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson' },
    body: `${lines.join('\n')}\n`,
  });
  if (!response.ok) throw new Error(`publish: ${response.status} ${await response.text()}`);
  await response.arrayBuffer();
}

/** Records taken and not worked off, by topology; those that are level are left out. */
async function lag(url: string): Promise<Record<string, number>> {
  const { topologies } = (await (await fetch(`${url}/v1/topologies`)).json()) as {
    topologies: { name: string }[];
  };
  const found: Record<string, number> = {};
  for (const { name } of topologies) {
    const response = await fetch(`${url}/v1/topologies/${encodeURIComponent(name)}`);
    const { tasks } = (await response.json()) as { tasks: { offsets: { lag: number }[] }[] };
    const behind = tasks.flatMap(({ offsets }) => offsets).reduce((sum, each) => sum + each.lag, 0);
    if (behind > 0) found[name] = behind;
  }
  return found;
}

async function residentMb(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? Number.NaN) / 1_024);
}

async function ask(
  url: string,
  forSeconds: number,
  routes: readonly string[],
): Promise<Record<string, number[]>> {
  const asker = fileURLToPath(new URL('./support/live-asker.ts', import.meta.url));
  const perSecond = String(options.number('requests-per-second'));
  const given = [asker, url, String(forSeconds), perSecond, ...routes];
  const { stdout } = await promisify(execFile)(process.execPath, given, { maxBuffer: 2 ** 26 });
  return JSON.parse(stdout) as Record<string, number[]>;
}
