/**
 * kill -9 inside runs of a rollup task: each life finds what was missed since the last, and in the end the rolled-up
 * metric is what the same question over the raw points gives, bucket by bucket. Each life's clock is minutes ahead of the
 * one before, so that the claim of the one that died has run out.
 */
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { systemClock } from '../../src/runtime/index.ts';
import { temporaryDirectory } from '../support/embedded-broker.ts';
import { EngineProcess, getJson } from '../support/engine-process.ts';
import { killSchedule } from './kill-schedule.ts';

const script = fileURLToPath(new URL('../support/engine-ahead.ts', import.meta.url));
const KILLS = 4;
const AHEAD_MS = 5 * 60_000;
const BUCKET_MS = 250;
const HORIZON_MS = (KILLS + 2) * AHEAD_MS;
const SOON = { timeout: 60_000, interval: 1 };
const environment = { TIDEMARK_ROLLUPS_CHECK_INTERVAL_MS: '1000' };

interface View {
  readonly state: string;
  readonly doneTo: number | null;
  readonly failures: number;
}
type Values = readonly (readonly [number, number])[];

async function post(url: string, path: string, body: unknown) {
  const answer = await fetch(`${url}/api/v1/${path}`, {
    method: 'POST',
    body: JSON.stringify(body),
  });
  const text = await answer.text();
  expect(answer.status, text).toBeLessThan(300);
  return text;
}

const summed = { name: 'sum', sampling: { value: BUCKET_MS, unit: 'milliseconds' } };
async function values(url: string, metric: object, from: number, to: number): Promise<Values> {
  const query = { start_absolute: from, end_absolute: to, time_zone: 'UTC', metrics: [metric] };
  const { queries } = JSON.parse(await post(url, 'datapoints/query', query)) as {
    queries: { results: { values: Values }[] }[];
  };
  return queries[0]?.results[0]?.values ?? [];
}

test('a rollup task killed inside its runs stores what an undisturbed one stores', async () => {
  const data = await temporaryDirectory();
  const start = (life: number) =>
    EngineProcess.forThisTest({
      data,
      script,
      environment: { ...environment, AHEAD_MS: String(life * AHEAD_MS) },
    });
  const task = async (url: string) =>
    (await getJson<{ rollups: View[] }>(`${url}/v1/rollups`)).rollups[0] as View;

  // Points for the whole test, some of them in its future, one in each second and two in every third.
  let engine = start(0);
  let url = await engine.url();
  const bornMs = Math.floor(Date.now() / 1_000) * 1_000;
  const points = Array.from({ length: HORIZON_MS / 1_000 + 300 }, (_, i) => {
    const ms = bornMs - 200_000 + i * 1_000;
    return i % 3 === 0
      ? [
          [ms, i],
          [ms + 100, 1],
        ]
      : [[ms, i]];
  }).flat();
  await post(url, 'datapoints', [{ name: 'in', tags: { host: 'a' }, datapoints: points }]);
  await expect
    .poll(async () => (await values(url, { name: 'in' }, 0, 1e14)).length, SOON)
    .toBe(points.length);
  await post(url, 'rollups', {
    name: 'by the minute',
    execution_interval: { value: 1, unit: 'minutes' },
    rollups: [
      {
        save_as: 'out',
        query: {
          start_relative: { value: 1, unit: 'hours' },
          metrics: [{ name: 'in', aggregators: [summed] }],
        },
      },
    ],
  });
  await engine.kill();

  for (const [life, { delayMs }] of killSchedule(KILLS, 13, { lifeMsMax: 400 }).entries()) {
    engine = start(life + 1);
    url = await engine.url();
    await expect.poll(async () => (await task(url)).state, SOON).toBe('running');
    // Every second one at once, inside its first run on any machine; the others wherever they are by then.
    if (life % 2 === 1) await systemClock.sleep(delayMs % 400);
    await engine.kill();
  }

  engine = start(KILLS + 1);
  url = await engine.url();
  await expect
    .poll(() => task(url), { timeout: 60_000, interval: 100 })
    .toMatchObject({ state: 'waiting', failures: 0 });
  const { doneTo } = await task(url);
  // Its first run looks back an interval and a bucket from when it was first due.
  const made = await values(url, { name: 'out' }, 0, 1e14);
  const [[firstMs] = [0]] = made;
  expect(firstMs).toBeLessThan(bornMs + 61_000);
  expect(doneTo).toBeGreaterThan(bornMs + (KILLS + 1) * AHEAD_MS - 61_000);
  expect(made.length).toBeGreaterThan(((KILLS + 1) * AHEAD_MS) / 1_000 - 130);
  const lastBucket = Math.floor((doneTo as number) / BUCKET_MS) * BUCKET_MS;
  const undisturbed = await values(
    url,
    { name: 'in', aggregators: [{ ...summed, align_start_time: true }] },
    firstMs,
    lastBucket + BUCKET_MS - 1,
  );
  // A bucket's query includes its end, as in KairosDB: what that makes of the next bucket, the next run makes anew.
  expect(made.filter(([ms]) => ms <= lastBucket)).toEqual(
    undisturbed.filter(([ms]) => ms <= lastBucket),
  );
  expect(await engine.stop()).toBe(0);
}, 240_000);
