/**
 * The tasks that `setup --flux-tasks` installs, run by a real InfluxDB on the points of the stream's feeds: their
 * rollups are the stream's [V5, S2].
 */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { simulateFleet, simulateVotes } from '../../src/collect/index.ts';
import {
  encodeLine,
  type FluxTask,
  fluxTasks,
  InfluxSink,
  setupBuckets,
  setupFluxTasks,
} from '../../src/databases/influx/index.ts';
import {
  days,
  type FleetRollup,
  hours,
  minutes,
  type Point,
  type Rollup,
} from '../../src/model/index.ts';
import { systemClock } from '../../src/runtime/index.ts';
import { quantileOfSorted } from '../../src/stats/index.ts';
import { drive } from '../../src/stream/index.ts';
import {
  fleetMetrics,
  fleetRollupPoint,
  metricOf,
  metricPoint,
  rollupPoint,
  type Vote,
  voteLatency,
  votePoint,
} from '../../topologies/index.ts';
import { runCommand } from '../support/command.ts';
import { temporaryDirectory } from '../support/embedded-broker.ts';
import {
  dropBucket,
  INFLUX_NAMES,
  influxCall,
  influxFromEnvironment,
  pointsInBucket,
} from '../support/influx.ts';
import { needs } from '../support/require.ts';

const DAY = Math.floor(Date.now() / days(1) - 3) * days(1);
/** Over two hours, so that an hour is closed and another begins; no late ones, which only the database would count. */
const VOTES_FROM = DAY + hours(10) + minutes(20);
const VOTES_SECONDS = 6_000;

describe.skipIf(!needs(INFLUX_NAMES))('Flux tasks', () => {
  const run = randomUUID().slice(0, 8);
  const bucket = (name: string) => `test-flux-${run}-${name}`;
  const buckets = [
    'vote-latencies-raw',
    'vote-latencies-5m',
    'validator-metrics',
    'system_metrics_raw',
    'system_metrics_1h',
    'system_metrics_1d',
  ];
  /** Under names of this run's own: the server is everybody's. */
  const tasks = fluxTasks(bucket).map(({ name, flux }) => ({
    name: `${name} ${run}`,
    flux: flux.replace(`"${name}"`, `"${name} ${run}"`),
  }));
  const votes: Vote[] = [];
  let rollups: readonly Rollup[] = [];
  let fleet: readonly FleetRollup[] = [];

  beforeAll(async () => {
    const config = influxFromEnvironment();
    await setupBuckets(
      config,
      buckets.map((name) => ({ name: bucket(name), retentionMs: 0 })),
    );
    const sent = [
      ...simulateVotes({
        seed: 11,
        startMs: VOTES_FROM,
        validators: 15,
        ratePerSecond: 1,
        count: VOTES_SECONDS,
        duplicateShare: 0.03,
        lateShare: 0,
      }),
    ].map(({ key, value }) => ({ key: String(key), value: String(value) }));
    votes.push(...[...new Set(sent.map(({ value }) => value))].map((text) => JSON.parse(text)));
    const driver = drive(voteLatency, {}).pipe('votes', sent).end();
    const last = new Map<string, Rollup>();
    for (const step of ['5m', '1h', '1d']) {
      for (const rollup of driver.read<Rollup>(`votes.rollup.${step}`))
        last.set(`${step} ${rollup.scope} ${rollup.id} ${rollup.window.start}`, rollup);
    }
    rollups = [...last.values()];
    const metrics = [
      ...simulateFleet({
        hosts: 2,
        startMs: DAY + hours(4),
        durationMs: hours(3),
        intervalMs: 60_000,
      }),
    ].map((metric) => metricOf(metric));
    const seen = drive(fleetMetrics, {})
      .pipe(
        'system.metrics',
        metrics.map(({ tagsText: _, reading: __, ...value }) => ({ key: value.host, value })),
      )
      .end();
    fleet = (['1h', '1d'] as const).flatMap((step) =>
      seen.read<FleetRollup>(`fleet.rollup.${step}`),
    );
    const store = (into: string, points: readonly Point[]) =>
      new InfluxSink({ config, bucket: bucket(into) }).write(points);
    await store('vote-latencies-raw', votes.map(votePoint));
    await store('system_metrics_raw', metrics.map(metricPoint));
  });

  afterAll(async () => {
    const config = influxFromEnvironment();
    for (const { name } of tasks) {
      for (const { id } of await stored(name))
        await influxCall(config, `/api/v2/tasks/${id}`, { method: 'DELETE' });
    }
    for (const name of buckets) await dropBucket(config, bucket(name));
  });

  async function stored(name: string): Promise<{ id: string; flux: string; status: string }[]> {
    const config = influxFromEnvironment();
    const { json } = await influxCall(config, `/api/v2/tasks?name=${encodeURIComponent(name)}`);
    return (json as { tasks: { id: string; flux: string; status: string }[] }).tasks;
  }

  /** As the scheduler would at that time; resolves when it is done, rejects with its log when it failed. */
  async function runAt(task: FluxTask, at: number): Promise<void> {
    const config = influxFromEnvironment();
    const [{ id } = { id: '' }] = await stored(task.name);
    const started = await influxCall(config, `/api/v2/tasks/${id}/runs`, {
      method: 'POST',
      body: JSON.stringify({ scheduledFor: new Date(at).toISOString() }),
    });
    expect(started.status, started.text).toBe(201);
    const runId = (started.json as { id: string }).id;
    for (let tries = 0; tries < 2_000; tries++) {
      const { json } = await influxCall(config, `/api/v2/tasks/${id}/runs/${runId}`);
      const { status } = json as { status?: string };
      if (status === 'success') return;
      if (status === 'failed' || status === 'canceled') {
        const logs = await influxCall(config, `/api/v2/tasks/${id}/runs/${runId}/logs`);
        throw new Error(`${task.name} ${status}: ${logs.text.slice(-600)}`);
      }
      await systemClock.sleep(50);
    }
    throw new Error(`${task.name} has not ended`);
  }

  const named = (what: string) =>
    tasks.find(({ name }) => name === `tidemark ${what} ${run}`) as FluxTask;

  /** Points of the tasks in a bucket: about → value, times in ms. */
  async function made(name: string): Promise<Map<string, number>> {
    const points = await pointsInBucket(influxFromEnvironment(), bucket(name), DAY);
    return new Map(
      [...points].map(([about, text]) => [
        about.replace(/ (\S+)$/, (_, time: string) => ` ${Date.parse(time)}`),
        Number(text.split(' ')[1]),
      ]),
    );
  }

  test('are installed once, kept when run again, and given the new script when it changed', async () => {
    const config = influxFromEnvironment();
    const again = () => setupFluxTasks(config, tasks);
    const outcomes = async () => (await again()).map(({ done }) => done);
    expect(await outcomes()).toEqual(tasks.map(() => 'created'));
    expect(await outcomes()).toEqual(tasks.map(() => 'kept'));
    const [first] = tasks as [FluxTask];
    const [{ id } = { id: '' }] = await stored(first.name);
    await influxCall(config, `/api/v2/tasks/${id}`, {
      method: 'PATCH',
      body: JSON.stringify({ status: 'inactive', flux: `${first.flux}// of old\n` }),
    });
    expect(await outcomes()).toEqual(['changed', ...tasks.slice(1).map(() => 'kept')]);
    expect(await stored(first.name)).toMatchObject([{ id, flux: first.flux, status: 'inactive' }]);
    await influxCall(config, `/api/v2/tasks/${id}`, {
      method: 'PATCH',
      body: JSON.stringify({ status: 'active' }),
    });
  });

  test('write where the stream writes, but nothing that is the stream’s', () => {
    const flux = fluxTasks().map((task) => task.flux);
    const targets = flux.map((text) => /to\(bucket: "([^"]+)"/.exec(text)?.[1]);
    expect(targets).toEqual([
      'vote-latencies-5m',
      'validator-metrics',
      'validator-metrics',
      'system_metrics_1h',
      'system_metrics_1d',
    ]);
    for (const text of flux) {
      const measurements = [...text.matchAll(/"_measurement", value: "([^"]+)"/g)];
      expect(measurements.length).toBe(1);
      expect(measurements[0]![1]).toMatch(/_flux$/);
      expect(text).not.toMatch(/\{\{/);
    }
  });

  test('roll votes up as the stream does, over five minutes, an hour and a day', async () => {
    const ends = VOTES_FROM + VOTES_SECONDS * 1_000;
    await setupFluxTasks(influxFromEnvironment(), tasks);
    for (let at = VOTES_FROM; at < ends + minutes(20); at += minutes(15))
      await runAt(named('vote-latency 5m'), at);
    for (const at of [DAY + hours(12), DAY + hours(13)]) await runAt(named('vote-latency 1h'), at);
    await runAt(named('vote-latency 1d'), DAY + days(1));

    const found = new Map([
      ...(await made('vote-latencies-5m')),
      ...(await made('validator-metrics')),
    ]);
    const figures = ['count', 'sum', 'min', 'max', 'mean', 'stddev', 'p50', 'p95', 'p99'] as const;
    expect(found.size).toBe(figures.length * rollups.length);
    expect(new Set(rollups.map(({ window }) => window.end - window.start)).size).toBe(3);
    let percentiles = 0;
    for (const rollup of rollups) {
      const sizeMs = rollup.window.end - rollup.window.start;
      const step = sizeMs === minutes(5) ? '5m' : sizeMs === hours(1) ? '1h' : '1d';
      const point = rollupPoint(rollup, step);
      const line = encodeLine({ ...point, fields: { x: 1 } });
      const tags = line.split(' ')[0]!.split(',').slice(1).sort();
      const of = (figure: string) =>
        found.get(
          `vote_latency_rollup_flux,${tags.join(',')} ${figure} ${rollup.window.start}`,
        ) as number;
      for (const figure of ['count', 'sum', 'min', 'max'] as const)
        expect(of(figure), `${tags} ${figure}`).toBe(rollup[figure]);
      for (const figure of ['mean', 'stddev'] as const)
        expect(Math.abs(of(figure) - rollup[figure]), `${tags} ${figure}`).toBeLessThan(1e-9);
      const sorted = votes
        .filter(
          (vote) =>
            vote.timestamp >= rollup.window.start &&
            vote.timestamp < rollup.window.end &&
            (rollup.scope === 'network' || vote.validator === rollup.id),
        )
        .map((vote) => vote.landedSlot - vote.votedSlot)
        .sort((a, b) => a - b);
      for (const [figure, q] of [
        ['p50', 0.5],
        ['p95', 0.95],
        ['p99', 0.99],
      ] as const) {
        // Flux ranks as type 7, digests as type 5: by at most half a rank apart, so by no more than the gap between
        // neighbours there.
        const rank = q * (sorted.length - 1);
        const low = sorted[Math.max(0, Math.floor(rank) - 1)] as number;
        const high = sorted[Math.min(sorted.length - 1, Math.ceil(rank) + 1)] as number;
        expect(of(figure)).toBeCloseTo(quantileOfSorted(sorted, q, 'linear'), 9);
        expect(Math.abs(of(figure) - rollup[figure])).toBeLessThanOrEqual(high - low + 1e-9);
        percentiles++;
      }
    }
    expect(percentiles).toBeGreaterThan(300);
  });

  test('roll readings up as the stream does, over an hour and a day', async () => {
    await setupFluxTasks(influxFromEnvironment(), tasks);
    for (const hour of [6, 7, 8]) await runAt(named('system-metrics 1h'), DAY + hours(hour));
    await runAt(named('system-metrics 1d'), DAY + days(1));
    const found = new Map(
      (['1h', '1d'] as const).map((step) => [step, made(`system_metrics_${step}`)]),
    );
    const figures = ['count', 'mean', 'min', 'max', 'stddev'] as const;
    expect(fleet.length).toBeGreaterThan(50);
    let compared = 0;
    for (const rollup of fleet) {
      const step = rollup.window.end - rollup.window.start === hours(1) ? '1h' : '1d';
      const points = (await found.get(step)) as Map<string, number>;
      const line = encodeLine({ ...fleetRollupPoint(rollup), fields: { x: 1 } });
      // The codec escapes, an answer does not; names of the simulator need neither.
      const tags = line.split(' ')[0]!.split(',').slice(1).sort();
      for (const figure of figures) {
        const about = `system_metrics_flux,${tags.join(',')} ${rollup.field}_${figure} ${rollup.window.start}`;
        const value = points.get(about) as number;
        if (figure === 'count' || figure === 'min' || figure === 'max')
          expect(value, about).toBe(rollup[figure]);
        else {
          // Summed in another order: the last bits of 15 differ, of a spread relative to the values' size.
          const size = Math.max(Math.abs(rollup.max), Math.abs(rollup.min), 1);
          expect(Math.abs(value - rollup[figure]) / size, about).toBeLessThan(1e-9);
        }
        compared++;
      }
    }
    const all = [...(await Promise.all(found.values()))].reduce((sum, { size }) => sum + size, 0);
    expect(compared).toBe(all);
  });
});

describe.skipIf(!needs(INFLUX_NAMES))('tidemark setup --flux-tasks', () => {
  test('installs the tasks with the buckets that they need, keeps them when run again, and without the flag leaves tasks alone', async () => {
    const config = influxFromEnvironment();
    // Tasks have the names of the product, so they are made in an organisation of this run's own.
    const name = `test-flux-${randomUUID()}`;
    const made = await influxCall(config, '/api/v2/orgs', {
      method: 'POST',
      body: JSON.stringify({ name }),
    });
    expect(made.status, made.text).toBe(201);
    const { id } = made.json as { id: string };
    const inOrganisation = async <T>(what: 'tasks' | 'buckets'): Promise<T[]> => {
      const { json } = await influxCall(config, `/api/v2/${what}?orgID=${id}&limit=100`);
      return (json as Record<string, T[]>)[what] ?? [];
    };
    onTestFinished(async () => {
      for (const task of await inOrganisation<{ id: string }>('tasks'))
        await influxCall(config, `/api/v2/tasks/${task.id}`, { method: 'DELETE' });
      await influxCall(config, `/api/v2/orgs/${id}`, { method: 'DELETE' });
    });
    const data = await temporaryDirectory();
    const { INFLUX_URL, INFLUX_TOKEN } = process.env;
    const environment = { INFLUX_URL, INFLUX_TOKEN, INFLUX_ORG: name };
    const setup = async (...words: string[]) => {
      const { code, out, err } = await runCommand(['setup', '--data', data, ...words], {
        environment,
      });
      expect(code, err).toBe(0);
      return out.split('\n').filter((line) => / {2}task /.test(line));
    };
    const names = fluxTasks().map((task) => task.name);

    expect(await setup()).toEqual([]);
    expect(await inOrganisation('tasks')).toEqual([]);
    expect(await setup('--flux-tasks')).toEqual(names.map((task) => `made  task ${task}`));
    expect(await setup('--flux-tasks')).toEqual(names.map((task) => `kept  task ${task}`));
    const tasks = await inOrganisation<{ name: string; status: string; flux: string }>('tasks');
    expect(tasks.map((task) => task.name).sort()).toEqual(names.toSorted());
    expect(tasks.every(({ status }) => status === 'active')).toBe(true);
    const there = new Set((await inOrganisation<{ name: string }>('buckets')).map((b) => b.name));
    for (const { flux } of tasks)
      for (const [, bucket = ''] of flux.matchAll(/bucket: "([^"]+)"/g))
        expect(there).toContain(bucket);
  });

  test('without an InfluxDB says what to set', async () => {
    const { code, err } = await runCommand(['setup', '--flux-tasks'], {
      environment: { TIDEMARK_DATA: await temporaryDirectory() },
    });
    expect(code).toBe(1);
    expect(err).toContain('set INFLUX_URL');
  });
});
