/** kill -9 while points stream in: whatever was answered 204 is in the store after it starts again. */
import { expect, test } from 'vitest';
import { systemClock } from '../../src/runtime/index.ts';
import { temporaryDirectory } from '../support/embedded-broker.ts';
import { EngineProcess } from '../support/engine-process.ts';
import { killSchedule } from './kill-schedule.ts';

const KILLS = 6;
const SENDERS = 4;
const POINTS = 200;
/** Acknowledged in one life. */
const BODIES_MAX = 100;
const WAIT = { timeout: 120_000, interval: 1 };

const environment = { TIDEMARK_EPOCH_INTERVAL_MS: '100', TIDEMARK_PARTITIONS: '2' };
const flags = ['--roles', 'ingest,sinks,query,api'];

/** A body of its own for each number: some points in each of some metrics. */
const bodyOf = (n: number) =>
  JSON.stringify(
    ['a', 'b', 'c'].map((metric) => ({
      name: `crash.${metric}`,
      tags: { sender: String(n % SENDERS) },
      datapoints: Array.from({ length: POINTS }, (_, i) => [n * POINTS + i + 1, n]),
    })),
  );

async function stored(url: string, metric: string): Promise<Set<number>> {
  const query = { start_absolute: 0, end_absolute: 1e12, metrics: [{ name: `crash.${metric}` }] };
  const answer = await fetch(`${url}/api/v1/datapoints/query`, {
    method: 'POST',
    body: JSON.stringify(query),
  });
  const { queries } = (await answer.json()) as {
    queries: { results: { values: [number, number][] }[] }[];
  };
  return new Set(queries.flatMap(({ results }) => results[0]?.values ?? []).map(([ms]) => ms));
}

test('points that were acknowledged before any kill are all there', async () => {
  const data = await temporaryDirectory();
  const acknowledged = new Set<number>();
  let next = 0;
  for (const { from, delayMs } of killSchedule(KILLS, 11, { lifeMsMax: BODIES_MAX })) {
    const engine = EngineProcess.forThisTest({ data, environment, flags });
    if (from === 'start') {
      await systemClock.sleep(delayMs);
      await engine.kill();
      continue;
    }
    const url = await engine.url();
    let dead = false;
    const sender = async () => {
      while (!dead) {
        const n = next++;
        try {
          const { status } = await fetch(`${url}/api/v1/datapoints`, {
            method: 'POST',
            body: bodyOf(n),
          });
          if (status === 204) acknowledged.add(n);
        } catch {
          // Killed under it: nothing was promised.
        }
      }
    };
    const senders = Array.from({ length: SENDERS }, sender);
    // By what is in, and not by a clock: on any machine some of what is sent was answered, and some is under way.
    const enough = acknowledged.size + 2 + delayMs;
    await expect.poll(() => acknowledged.size, WAIT).toBeGreaterThanOrEqual(enough);
    dead = true;
    await engine.kill();
    await Promise.all(senders);
  }

  const engine = EngineProcess.forThisTest({ data, environment, flags });
  const url = await engine.url();
  const missing = async () => {
    const all: string[] = [];
    for (const metric of ['a', 'b', 'c']) {
      const times = await stored(url, metric);
      for (const n of acknowledged) {
        for (let i = 1; i <= POINTS; i++) {
          if (!times.has(n * POINTS + i)) all.push(`crash.${metric} ${n}`);
        }
      }
    }
    return all;
  };
  await expect.poll(missing, { timeout: 60_000, interval: 300 }).toEqual([]);
  expect(await engine.stop()).toBe(0);
}, 600_000);
