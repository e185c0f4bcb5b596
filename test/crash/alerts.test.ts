/**
 * kill -9 of the running program while alerts fire and people are told: everybody hears each of them, a repetition
 * is known by its key, and nobody hears what is suppressed.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openEmbeddedBroker, type ProducerRecord } from '../../src/broker/index.ts';
import { seededRandom } from '../../src/collect/index.ts';
import { type AlertTransition, minutes } from '../../src/model/index.ts';
import { silentLogger, systemClock } from '../../src/runtime/index.ts';
import { AlertReceiver, type Notice } from '../support/alert-receiver.ts';
import { temporaryDirectory } from '../support/embedded-broker.ts';
import { differences, linesOf, recordsOf } from '../support/engine-contents.ts';
import { EngineProcess, settled } from '../support/engine-process.ts';

const KILLS = 4;
const PARTITIONS = 2;
const HOSTS = 16;
/** Hosts that have something to tell; the others are work. */
const BUSY = 4;
const START = 1_757_500_020_000;
/** A portion of readings a life of the program, each with the same course of events. */
const PORTION_MS = minutes(120);
const PORTIONS = KILLS + 1;

/** Of a portion, minutes. The second begins within half an hour of what was told of the first. */
const busyAt = { told: [20, 32], suppressed: [40, 52], toldAgain: [90, 102] } as const;

const isBusy = (minute: number): boolean =>
  Object.values(busyAt).some(([from, to]) => from <= minute && minute < to);

/** The busy ones one minute after another. */
function* readings(portion: number): Generator<ProducerRecord> {
  const from = START + portion * PORTION_MS;
  for (let at = from; at < from + PORTION_MS; at += 10_000) {
    for (let host = 0; host < HOSTS; host++) {
      const minute = (at - from) / minutes(1) - host;
      const usage = host < BUSY && isBusy(minute) ? 97 : 40 + (host % 7);
      const place = { host: `h${host}`, region: 'eu', environment: 'test' };
      const fields = { usage_percent: usage };
      const value = JSON.stringify({ ...place, metricType: 'cpu', timestamp: at, fields });
      yield { key: place.host, value };
    }
  }
}

const open = (data: string) =>
  openEmbeddedBroker({
    directory: data,
    clock: systemClock,
    logger: silentLogger,
    defaultPartitions: PARTITIONS,
  });

async function append(data: string, portions: readonly number[]): Promise<void> {
  const broker = await open(data);
  await broker.createTopics([{ name: 'system.metrics' }]);
  for (const portion of portions) await broker.append('system.metrics', [...readings(portion)]);
  await broker.close();
}

async function alertsIn(data: string) {
  const broker = await open(data);
  const records = await recordsOf(broker, ['alerts']);
  await broker.close();
  return records;
}

async function directoryFor({ url }: AlertReceiver) {
  const data = await temporaryDirectory();
  const file = join(data, 'alerts.json');
  const others = ['sink-failing', 'sink-rejects', 'engine-disk', 'engine-lag', 'slow-queries'];
  const rules = Object.fromEntries(others.map((name) => [name, { enabled: false }]));
  const channels = { pager: { type: 'webhook', url } };
  // Hours pass in seconds: what waits would be overtaken by its own end.
  const notifications = { groupWait: '0s' };
  await writeFile(file, JSON.stringify({ rules, channels, notifications }));
  const environment = {
    TIDEMARK_ALERTS_FILE: file,
    TIDEMARK_ROLES: 'engine,sinks,api',
    TIDEMARK_PARTITIONS: String(PARTITIONS),
    TIDEMARK_EPOCH_INTERVAL_MS: '50',
    SINK_BACKOFF_BASE_MS: '20',
  };
  return { data, environment };
}

/** What a notification tells, whenever it was sent. */
const toldBy = (message: Notice['message']): readonly string[] =>
  [...message.firing, ...message.resolved].map(
    ({ subject, startedAt, sequence, state, severity }) =>
      `${subject} ${startedAt} #${sequence} ${state} ${severity}`,
  );

const episodes = (transitions: readonly AlertTransition[]): ReadonlySet<string> =>
  new Set(transitions.map(({ subject, startedAt }) => `${subject} ${startedAt}`));

test('through kills -9 each notification is received, a repetition under its own key, and none that is suppressed', async () => {
  const calm = await AlertReceiver.forThisTest();
  const calmly = await directoryFor(calm);
  await append(calmly.data, [...Array(PORTIONS).keys()]);
  const calmEngine = EngineProcess.forThisTest(calmly);
  await settled([calmEngine], { quietMs: 3_000 });
  expect(await calmEngine.stop(), calmEngine.report).toBe(0);
  const wanted = await alertsIn(calmly.data);
  const transitions = wanted.map(({ value }) => JSON.parse(value) as AlertTransition);
  // Three episodes of each busy host in each portion, of which two are told.
  expect(episodes(transitions).size).toBe(3 * BUSY * PORTIONS);
  const toldOf = calm.distinct.flatMap(({ firing, resolved }) => [...firing, ...resolved]);
  expect(calm.got).toHaveLength(calm.distinct.length);
  expect(episodes(toldOf).size).toBe(2 * BUSY * PORTIONS);
  const wantedNotices = calm.distinct.flatMap(toldBy).sort();

  let asked = (): void => {};
  let holds = false;
  const receiver = await AlertReceiver.forThisTest(() => {
    asked();
    // Its sender is killed before it hears that this one has come.
    return holds ? new Promise<number>(() => {}) : 204;
  });
  const { data, environment } = await directoryFor(receiver);
  const random = seededRandom(Number(process.env.CRASH_SEED ?? 20_261_127));
  for (let life = 0; life < KILLS; life++) {
    await append(data, [life]);
    const isHeld = life % 2 === 0;
    // Else soon: while readings are still judged.
    let left = 1 + (random() % (isHeld ? 4 * BUSY : 3));
    const reached = new Promise<void>((resolve) => {
      asked = () => {
        left--;
        if (left > 0) return;
        holds = isHeld;
        resolve();
      };
    });
    const engine = EngineProcess.forThisTest({ data, environment });
    await Promise.race([reached, systemClock.sleep(120_000)]);
    expect(left, engine.report).toBeLessThanOrEqual(0);
    if (!isHeld) await systemClock.sleep(random() % 60);
    await engine.kill();
    holds = false;
  }
  asked = () => {};
  await append(data, [KILLS]);
  const engine = EngineProcess.forThisTest({ data, environment });
  await settled([engine], { quietMs: 3_000 });
  expect(await engine.stop(), engine.report).toBe(0);

  expect(differences(linesOf(await alertsIn(data)), linesOf(wanted))).toEqual([]);
  expect(receiver.distinct.flatMap(toldBy).sort()).toEqual(wantedNotices);
  // Those whose answer was never heard came again, as themselves.
  expect(receiver.got.length - receiver.distinct.length).toBeGreaterThanOrEqual(
    Math.ceil(KILLS / 2),
  );
});
