/** `compare-kairos` killed -9 ten times: its report ends complete and right, and no slice counts twice in it. */
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { type CompareResult, differenceJson, type JobReport } from '../../src/jobs/index.ts';
import type { DataPoint } from '../../src/model/index.ts';
import { CommandProcess } from '../support/command-process.ts';
import { temporaryDirectory } from '../support/embedded-broker.ts';
import { kairosServer } from '../support/kairos-server.ts';
import { halfDone, killTenTimes, UnitsDone } from '../support/killed-jobs.ts';

const START_MS = Date.UTC(2024, 0, 31);
const HOUR_MS = 3_600_000;
const METRICS = ['cpu', 'disk', 'memory'];
const HOURS = 300;
const SLICES = METRICS.length * HOURS;
const PER_HOUR = 4;

const every = METRICS.flatMap((metric) =>
  Array.from({ length: HOURS * PER_HOUR }, (_, n): DataPoint => {
    const timestampMs = START_MS + n * (HOUR_MS / PER_HOUR);
    return { metric, tags: { host: 'a' }, timestampMs, value: BigInt(n) };
  }),
);
const isLost = (_: DataPoint, n: number) => n % 61 === 0;
const isOther = (_: DataPoint, n: number) => n % 67 === 0;

test('compare-kairos killed at ten random moments reports every slice and every difference once', async () => {
  const [a, b] = [await kairosServer(), await kairosServer()];
  onTestFinished(async () => {
    await a.close();
    await b.close();
  });
  await a.store.connect();
  await b.store.connect();
  await a.store.write(every);
  await b.store.write(
    every
      .map((point, n) => (isOther(point, n) ? { ...point, value: -5n } : point))
      .filter((point, n) => !isLost(point, n)),
  );
  const data = await temporaryDirectory();
  const words = ['compare-kairos', await a.listen(), await b.listen(), '--data', data];
  words.push('--slice-hours', '1', '--json');

  const done = new UnitsDone(join(data, 'compare-kairos'));
  const printed: string[] = [];
  const lives: CommandProcess[] = [];
  const held = await killTenTimes({
    begin() {
      const life = new CommandProcess(words);
      lives.push(life);
      return life;
    },
    progress: () => done.read(),
    isKept: true,
    seed: 65,
    held: async () => Math.round((done.read() ?? 0) * SLICES),
  });
  await done.close();
  expect(halfDone(held, SLICES), `${held}`).not.toEqual([]);

  const last = new CommandProcess(words);
  // They differ.
  expect(await last.exit(), last.printed).toBe(1);
  for (const { printed: lines } of [...lives, last]) printed.push(...differencesIn(lines));
  const wanted = every.flatMap((point, n) => (isLost(point, n) || isOther(point, n) ? [n] : []));
  const expected = wanted.map((n) => {
    const { metric, timestampMs, value } = every[n] as DataPoint;
    const b = isLost(every[n] as DataPoint, n) ? {} : { b: [-5n] };
    const a = [value as bigint];
    return differenceJson({ metric, series: 'host=a', timestampMs, a, ...b });
  });
  // A slice that was under way when its process died is told again; none is left out, none made up.
  const lineOf = (line: string) => line.replaceAll('"', '');
  expect(new Set(printed.map(lineOf))).toEqual(new Set(expected.map(lineOf)));

  const report = JSON.parse(last.printed.slice(last.printed.lastIndexOf('\n{"') + 1)) as JobReport;
  expect(report).toMatchObject({
    state: 'done',
    units: { total: SLICES, done: SLICES, failed: 0 },
    noteCount: expected.length,
    summary: [`compared ${every.length} points, ${expected.length} differences`],
  });
  expect(new Set(report.notes).size).toBe(expected.length);
  const units = report.results.map(({ unit }) => unit);
  expect([units.length, new Set(units).size]).toEqual([SLICES, SLICES]);
  const points = report.results.reduce(
    (sum, { result }) => sum + (result as unknown as CompareResult).points,
    0,
  );
  expect(points).toBe(every.length);
});

const differencesIn = (printed: string): readonly string[] =>
  printed.split('\n').filter((line) => line.startsWith('{"metric"'));
