/** `verify --repair` of an engine killed -9 ten times: the database ends as it was before it lost all its points. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openEmbeddedBroker } from '../../src/broker/index.ts';
import { simulateVotes } from '../../src/collect/index.ts';
import { embeddedWideRows } from '../../src/databases/embedded/index.ts';
import { KairosStore } from '../../src/databases/kairos/index.ts';
import type { JobView } from '../../src/jobs/index.ts';
import { silentLogger, systemClock } from '../../src/runtime/index.ts';
import { temporaryDirectory } from '../support/embedded-broker.ts';
import { differences, embeddedPoints } from '../support/engine-contents.ts';
import { EngineProcess, getJson, settled } from '../support/engine-process.ts';
import { halfDone, killTenTimes, UnitsDone } from '../support/killed-jobs.ts';

const VOTES = 12_000;
const HOURS = 66;

test('verify --repair killed at ten random moments ends with every point in the database again', async () => {
  const data = await temporaryDirectory();
  const broker = await openEmbeddedBroker({
    directory: data,
    clock: systemClock,
    logger: silentLogger,
  });
  await broker.createTopics([{ name: 'votes', partitions: 1 }]);
  const votes = simulateVotes({
    seed: 63,
    startMs: 1_757_500_000_000,
    validators: 9,
    ratePerSecond: VOTES / (HOURS * 3_600),
    count: VOTES,
    duplicateShare: 0,
    lateShare: 0,
  });
  await broker.append('votes', [...votes]);
  await broker.close();
  const start = () => EngineProcess.forThisTest({ data });
  const first = start();
  await settled([first], { quietMs: 3_000 });
  await first.stop();
  const wanted = await embeddedPoints(data);
  await loseAll(data);
  const raw = async () =>
    [...(await embeddedPoints(data)).keys()].filter((about) => about.startsWith('vote_latency ['))
      .length;
  expect(await raw()).toBe(0);

  let asked = false;
  const done = new UnitsDone(join(data, 'jobs'));
  const held = await killTenTimes({
    async begin() {
      const engine = start();
      if (!asked) await askFor(await engine.url());
      asked = true;
      return engine;
    },
    progress: () => done.read(),
    isKept: true,
    seed: 63,
    held: raw,
  });
  await done.close();
  expect(halfDone(held, VOTES), `${held}`).not.toEqual([]);

  // Nobody asks again: whoever takes up the directory goes on with its jobs.
  const last = start();
  await ended(await last.url());
  await last.stop();
  expect(differences(await embeddedPoints(data), wanted)).toEqual([]);
});

async function loseAll(data: string): Promise<void> {
  const rows = embeddedWideRows({ dataDirectory: data, clock: systemClock });
  const store = new KairosStore({ rows, clock: systemClock });
  await store.connect();
  await store.deletePoints({
    metric: 'vote_latency',
    fromMs: Number.NEGATIVE_INFINITY,
    toMs: Number.POSITIVE_INFINITY,
  });
  await store.close();
}

async function askFor(url: string): Promise<void> {
  const reply = await fetch(`${url}/v1/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ kind: 'verify', input: { sink: 'kairos.votes', repair: true } }),
  });
  expect(reply.status, await reply.text()).toBe(202);
}

async function ended(url: string): Promise<void> {
  for (let tries = 0; tries < 2_400; tries++) {
    const { jobs } = await getJson<{ jobs: readonly JobView[] }>(`${url}/v1/jobs`);
    const [job] = jobs;
    expect(jobs).toHaveLength(1);
    if (job?.state === 'done')
      return expect(job.units).toMatchObject({ failed: 0, done: job.units.total });
    expect(['planning', 'running']).toContain(job?.state);
    await systemClock.sleep(50);
  }
  throw new Error('the job is not done within two minutes');
}
