/**
 * The outage drill: 120,000 votes while the real InfluxDB refuses, hangs, answers 503 and 429, and loses its answers,
 * with one vote among them that it can never store.
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, onTestFinished, test } from 'vitest';
import { simulateVotes } from '../../src/collect/index.ts';
import { bucketInfluxql, InfluxSink, setupBuckets } from '../../src/databases/influx/index.ts';
import { startEngine } from '../../src/main.ts';
import type { Point } from '../../src/model/index.ts';
import { loadSettings, silentLogger, systemClock } from '../../src/runtime/index.ts';
import { votePoint } from '../../topologies/index.ts';
import { temporaryDirectory } from '../support/embedded-broker.ts';
import { recordsOf } from '../support/engine-contents.ts';
import { dropBucket, INFLUX_NAMES, influxFromEnvironment } from '../support/influx.ts';
import { OutageProxy, type Trouble } from '../support/outage-proxy.ts';
import { needs } from '../support/require.ts';
import { newRun, runNames } from '../support/run-names.ts';

const VOTES = 120_000;
const START_MS = 1_757_500_000_000;
const WEEKS_BEFORE_MS = 30 * 24 * 3_600_000;
const BUCKETS = ['vote-latencies-raw', 'vote-latencies-5m', 'validator-metrics'];
const TROUBLES: readonly Trouble[] = ['refuse', 'hang', 'busy', 'limit', 'cut'];
/** Votes that wait, by trouble, are 20,000 more each time; were all of them kept, these were 8 MiB each. */
const GROWTH_BYTES_MAX = 12 * 2 ** 20;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

function heldBytes(): number {
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 2_400; tries++) {
    if (await condition()) return;
    await systemClock.sleep(50);
  }
  throw new Error(`not within two minutes: ${what}`);
}

/** Once work under way is done and buffers are swept, which happens beside us: as little as ten looks find. */
async function settledBytes(): Promise<number> {
  let least = heldBytes();
  for (let looks = 1; looks < 10; looks++) {
    await systemClock.sleep(50);
    least = Math.min(least, heldBytes());
  }
  return least;
}

/** With all that tells one point from another, and its values. */
const lineOf = ({ tags, fields, timestampNs }: Point): string =>
  JSON.stringify([timestampNs, tags, fields], (_, value: unknown) =>
    typeof value === 'bigint'
      ? `${value}i`
      : value !== null && typeof value === 'object' && !Array.isArray(value)
        ? Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
        : value,
  );

describe.skipIf(!needs(INFLUX_NAMES))('InfluxDB in every kind of trouble', () => {
  test('gets each of 120,000 votes once, while memory stays flat and no other sink waits', {
    timeout: 300_000,
  }, async () => {
    const config = influxFromEnvironment();
    const names = runNames(newRun());
    const bucket = names.bucket('vote-latencies-raw');
    onTestFinished(async () => {
      for (const each of BUCKETS) await dropBucket(config, names.bucket(each));
    });
    await setupBuckets(
      config,
      BUCKETS.map((each) => ({ name: names.bucket(each), retentionMs: 0 })),
    );
    const votes = [
      ...simulateVotes({
        seed: 47,
        startMs: START_MS,
        validators: 150,
        ratePerSecond: VOTES / 5_000,
        count: VOTES,
        duplicateShare: 0.02,
        lateShare: 0.01,
      }),
    ];
    const voteOf = (i: number) => JSON.parse(String(votes[i]?.value));
    // In that week `latency_slots` is text, so that a number can't be stored there.
    const poisonMs = START_MS - WEEKS_BEFORE_MS;
    const text: Point = {
      measurement: 'vote_latency',
      tags: { network: 'testnet' },
      fields: { latency_slots: 'text' },
      timestampNs: BigInt(poisonMs) * 1_000_000n,
    };
    expect(await new InfluxSink({ config, bucket }).write([text])).toEqual([]);
    const poison = JSON.stringify({
      ...voteOf(0),
      votedSlot: 7,
      landedSlot: 9,
      timestamp: poisonMs,
    });

    const proxy = new OutageProxy(config.url);
    const url = await proxy.start();
    onTestFinished(() => proxy.stop());
    const { settings } = loadSettings({
      environment: {
        INFLUX_URL: url,
        INFLUX_ORG: config.org,
        INFLUX_TOKEN: config.token,
        INFLUX_BATCH_SIZE: '500',
        SINK_BACKOFF_BASE_MS: '5',
        SINK_BACKOFF_CAP_MS: '10',
        TIDEMARK_EPOCH_INTERVAL_MS: '50',
      },
      flags: { data: await temporaryDirectory() },
    });
    const engine = await startEngine(settings, {
      roles: ['engine', 'sinks'],
      topologies: [names.topology],
      feeds: names.feeds,
      logger: silentLogger,
    });
    onTestFinished(() => engine.stop());
    const waiting = async (feed: string) =>
      (await engine.view.backlog()).find(({ sink }) => sink.endsWith(feed))?.points as number;

    const part = VOTES / (TROUBLES.length + 1);
    const append = (at: number) =>
      engine.broker.append(names.topics.votes, votes.slice(at, at + part));
    await append(0);
    await until('all is stored before', async () => (await waiting('influx.votes')) === 0);
    let atFirst: number | undefined;
    for (const [i, trouble] of TROUBLES.entries()) {
      await proxy.set(trouble);
      if (trouble === 'hang') {
        await engine.broker.append(names.topics.votes, [
          { key: voteOf(0).validator, value: poison },
        ]);
      }
      await append((i + 1) * part);
      await until(
        `${trouble}: the other sinks store all of it`,
        async () => (await waiting('kairos.votes')) === 0 && (await waiting('history')) === 0,
      );
      await until(`${trouble} is met`, () => trouble === 'refuse' || proxy.troubled > 1);
      // InfluxDB took nothing that it said so of: all of it waits, in the log and nowhere else.
      expect(await waiting('influx.votes'), trouble).toBeGreaterThanOrEqual((i + 1) * part);
      // Only behind the second trouble is all full that has a bound: the feed's mailbox, the log's newest blocks.
      if (i === 0) continue;
      if (atFirst === undefined) atFirst = await settledBytes();
      else {
        const most = atFirst + GROWTH_BYTES_MAX;
        await until(`${trouble}: memory is flat`, () => heldBytes() < most);
      }
    }
    await proxy.set('none');
    await until('InfluxDB has caught up', async () => (await waiting('influx.votes')) === 0);
    await engine.finish(names.topology.name);

    const reader = bucketInfluxql(config, bucket, 'the test');
    const { signal } = new AbortController();
    const stored: string[] = [];
    const slice = {
      measurement: 'vote_latency',
      schema: await reader.schema('vote_latency', signal),
      fromNs: BigInt(START_MS - WEEKS_BEFORE_MS / 2) * 1_000_000n,
      toNs: BigInt(START_MS + WEEKS_BEFORE_MS) * 1_000_000n,
      maxRows: 50_000,
    };
    for await (const points of reader.points(slice, signal)) stored.push(...points.map(lineOf));
    const wanted = new Set(votes.map((_, i) => lineOf(votePoint(voteOf(i)))));
    expect(stored).toHaveLength(wanted.size);
    expect(stored.filter((line) => !wanted.delete(line))).toEqual([]);
    const letters = await recordsOf(engine.broker, [`${names.topics.votes}.dead-letter`]);
    expect(letters.map(({ value }) => JSON.parse(value))).toMatchObject([
      { bytes: Buffer.from(poison).toString('base64'), code: 'SINK_REJECTED' },
    ]);
  });
});
