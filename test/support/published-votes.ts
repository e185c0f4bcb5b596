/** Simulated votes as the tests of a whole engine publish them, what must come of them, and how it is asked. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import type { ReplayJob } from '../../src/api/index.ts';
import { partitionOfKey } from '../../src/broker/index.ts';
import { simulateVotes } from '../../src/collect/index.ts';
import { systemClock } from '../../src/runtime/index.ts';
import { getJson } from './engine-process.ts';
import { VoteTruth } from './vote-truth.ts';

export const PARTITIONS = 2;
export const environment = {
  TIDEMARK_PARTITIONS: String(PARTITIONS),
  TIDEMARK_EPOCH_INTERVAL_MS: '100',
};
const tidemark = fileURLToPath(new URL('../../bin/tidemark', import.meta.url));

export const votes = [
  ...simulateVotes({
    seed: 31,
    startMs: 1_757_500_000_000,
    validators: 20,
    ratePerSecond: 5,
    count: 30_000,
    lateShare: 0.002,
  }),
];
export const parsed = votes.map(
  ({ value }) =>
    JSON.parse(String(value)) as {
      timestamp: number;
      landedSlot: number;
      votedSlot: number;
      validator: string;
    },
);
export const truth = new VoteTruth();
for (const { key, value } of votes) truth.add(partitionOfKey(key, PARTITIONS), value);
export const times = parsed.map(({ timestamp }) => timestamp);
export const whole = `from=${Math.min(...times) - 3_600_000}&to=${Math.max(...times) + 3_600_000}`;

export const figures = ({
  count,
  sum,
  min,
  max,
}: {
  count: number;
  sum?: number;
  min: number;
  max: number;
}) => ({
  count,
  sum,
  min,
  max,
});

/** Publishes all votes, in six requests. */
export async function publish(url: string): Promise<void> {
  for (let at = 0; at < votes.length; at += 5_000) {
    const response = await fetch(`${url}/v1/topics/votes/records`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-ndjson' },
      body: votes
        .slice(at, at + 5_000)
        .map(({ value }) => String(value))
        .join('\n'),
    });
    expect(response.status, await response.text()).toBe(200);
  }
}

/** Starts a replay and waits for its end. */
export async function replay(url: string, request: object): Promise<ReplayJob> {
  const response = await fetch(`${url}/v1/replays`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(request),
  });
  const text = await response.text();
  expect(response.status, text).toBe(202);
  const { id } = JSON.parse(text) as ReplayJob;
  let before = -1;
  for (let tries = 0; tries < 600; tries++) {
    const job = await getJson<ReplayJob>(`${url}/v1/replays/${id}`);
    expect(job.progress.done).toBeGreaterThanOrEqual(before);
    before = job.progress.done;
    if (job.state !== 'running') return job;
    await systemClock.sleep(50);
  }
  throw new Error(`replay ${id} does not end`);
}

/** Runs a command of the program; its exit code and what it printed. */
export function command(
  ...words: string[]
): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [tidemark, ...words],
      { env: { PATH: process.env.PATH }, timeout: 60_000 },
      (error, stdout, stderr) =>
        resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
  });
}
