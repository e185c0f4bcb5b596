/** `replay --into` of an engine killed -9 ten times: the stores that had lost their rollups end as they were before. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type Broker, openEmbeddedBroker } from '../../src/broker/index.ts';
import { simulateVotes } from '../../src/collect/index.ts';
import { embeddedWideRows } from '../../src/databases/embedded/index.ts';
import { KairosStore } from '../../src/databases/kairos/index.ts';
import type { ReplayJob } from '../../src/jobs/index.ts';
import { silentLogger, systemClock } from '../../src/runtime/index.ts';
import { temporaryDirectory } from '../support/embedded-broker.ts';
import {
  derivedTopics,
  differences,
  embeddedPoints,
  historyOf,
  linesOf,
  recordsOf,
} from '../support/engine-contents.ts';
import { EngineProcess, getJson, settled } from '../support/engine-process.ts';
import { halfDone, killTenTimes } from '../support/killed-jobs.ts';

const VOTES = 12_000;
const HOURS = 24;
const FIGURES = ['count', 'mean', 'p50', 'p95', 'p99'];
const ALL_TIME = { fromMs: Number.NEGATIVE_INFINITY, toMs: Number.POSITIVE_INFINITY };

test('replay --into killed at ten random moments ends with every rollup in both stores again, and none twice in a topic', async () => {
  const data = await temporaryDirectory();
  await withLog(data, async (broker) => {
    await broker.createTopics([{ name: 'votes', partitions: 1 }]);
    const votes = simulateVotes({
      seed: 64,
      startMs: 1_757_500_000_000,
      validators: 9,
      ratePerSecond: VOTES / (HOURS * 3_600),
      count: VOTES,
    });
    await broker.append('votes', [...votes]);
  });
  const first = EngineProcess.forThisTest({ data });
  await settled([first], { quietMs: 3_000 });
  await first.stop();
  const wanted = await contentsOf(data);
  const rollups = await rollupsIn(data);
  expect(rollups).toBeGreaterThan(2_000);
  await loseRollups(data);
  expect(await rollupsIn(data)).toBe(0);

  // A replay needs nothing else of an engine.
  const start = () => EngineProcess.forThisTest({ data, flags: ['--roles', 'api'] });
  let engine = start();
  const asked = await fetch(`${await engine.url()}/v1/replays`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      name: 'vote-latency',
      from: { offset: 0 },
      into: ['kairos.rollups', 'history'],
    }),
  });
  const { id } = (await asked.json()) as ReplayJob;
  expect(asked.status).toBe(202);

  const held = await killTenTimes({
    begin() {
      if (!engine.isAlive) engine = start();
      return engine;
    },
    // Each life begins its replay anew: the engine knows how far this one is.
    progress: () => progressOf(engine, id),
    isKept: false,
    seed: 64,
    held: () => rollupsIn(data),
  });
  expect(halfDone(held, rollups), `${held}`).not.toEqual([]);

  const last = start();
  const job = await ended(last, id);
  expect([job.state, job.progress]).toEqual(['done', { done: VOTES, total: VOTES }]);
  await last.stop();
  const found = await contentsOf(data);
  expect(differences(found.points, wanted.points)).toEqual([]);
  expect(differences(found.history, wanted.history)).toEqual([]);
  expect(differences(found.records, wanted.records)).toEqual([]);
});

/** Of one figure: all of a window's are written together. */
async function rollupsIn(data: string): Promise<number> {
  const store = new KairosStore({
    rows: embeddedWideRows({ dataDirectory: data, clock: systemClock }),
    clock: systemClock,
    readOnly: true,
  });
  await store.connect();
  let found = 0;
  for await (const page of store.readSeries({ metric: 'vote_latency.count', ...ALL_TIME })) {
    found += page.length;
  }
  await store.close();
  return found;
}

async function withLog<T>(data: string, use: (broker: Broker) => Promise<T>): Promise<T> {
  const broker = await openEmbeddedBroker({
    directory: data,
    clock: systemClock,
    logger: silentLogger,
  });
  try {
    return await use(broker);
  } finally {
    await broker.close();
  }
}

async function contentsOf(data: string) {
  const records = await withLog(data, (broker) => recordsOf(broker, Object.values(derivedTopics)));
  return {
    records: linesOf(records),
    points: await embeddedPoints(data),
    history: await historyOf(data, records),
  };
}

async function loseRollups(data: string): Promise<void> {
  await rm(join(data, 'rollups'), { recursive: true });
  const rows = embeddedWideRows({ dataDirectory: data, clock: systemClock });
  const store = new KairosStore({ rows, clock: systemClock });
  await store.connect();
  for (const figure of FIGURES) {
    await store.deletePoints({ metric: `vote_latency.${figure}`, ...ALL_TIME });
  }
  await store.close();
}

/** Undefined while it does not listen yet. */
async function progressOf(engine: EngineProcess, id: string): Promise<number | undefined> {
  const url = await Promise.race([engine.url(), systemClock.sleep(1).then(() => undefined)]);
  if (url === undefined) return undefined;
  const { state, progress } = await getJson<ReplayJob>(`${url}/v1/replays/${id}`);
  return state === 'done' ? 1 : progress.done / progress.total;
}

async function ended(engine: EngineProcess, id: string): Promise<ReplayJob> {
  const url = await engine.url();
  for (let tries = 0; tries < 2_400; tries++) {
    const job = await getJson<ReplayJob>(`${url}/v1/replays/${id}`);
    if (job.state !== 'running') return job;
    await systemClock.sleep(50);
  }
  throw new Error('the replay is not done within two minutes');
}
