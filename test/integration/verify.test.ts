/** `tidemark verify`: what a database lost, changed or was given behind the engine's back is found, and mended. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { simulateVotes } from '../../src/collect/index.ts';
import { InfluxSink, setupBuckets } from '../../src/databases/influx/index.ts';
import { setupKairos } from '../../src/databases/kairos/index.ts';
import type { DataPoint, Point } from '../../src/model/index.ts';
import { votePoint } from '../../topologies/index.ts';
import { dropKeyspace } from '../support/cassandra.ts';
import { dropBucket, INFLUX_NAMES, influxCall, influxFromEnvironment } from '../support/influx.ts';
import { needs } from '../support/require.ts';
import { newRun, type RunNames, runNames } from '../support/run-names.ts';
import {
  clean,
  hoursThatDiffer,
  sums,
  type VerifiedEngine,
  verifiedEngine,
} from '../support/verified-engine.ts';

const HOUR_MS = 3_600_000;
const START_MS = 1_757_500_200_000;
const VOTES = 3_000;
const BUCKETS = ['vote-latencies-raw', 'vote-latencies-5m', 'validator-metrics'];
const environmentOf = (names: readonly string[]) =>
  Object.fromEntries(names.map((name) => [name, process.env[name]]));

/** Two hours and a half of votes, some twice, some late. */
const votes = [
  ...simulateVotes({
    seed: 11,
    startMs: START_MS,
    validators: 5,
    ratePerSecond: VOTES / 9_000,
    count: VOTES,
    duplicateShare: 0.05,
    lateShare: 0.02,
  }),
];
const voteTimes = [
  ...new Map(
    votes.map(({ value }) => [String(value), JSON.parse(String(value)).timestamp]),
  ).values(),
] as number[];

interface Running extends VerifiedEngine {
  readonly names: RunNames;
}

async function run(
  environment: Record<string, string | undefined>,
  prepare: (names: RunNames) => Promise<unknown> = async () => {},
): Promise<Running> {
  const names = runNames(newRun());
  await prepare(names);
  const { topology, feeds } = names;
  const running = await verifiedEngine(environment, { topologies: [topology], feeds });
  await running.engine.broker.append(names.topics.votes, votes);
  await running.engine.finish(topology.name);
  return { ...running, names };
}

describe.each([
  ['the embedded store', []],
  ['Cassandra', ['CASSANDRA_HOSTS', 'CASSANDRA_DC']],
] as const)('verifying KairosDB’s series in %s', (_, variables) => {
  describe.skipIf(!needs(variables))('', () => {
    let running: Running;
    const cassandra = {
      hosts: (process.env.CASSANDRA_HOSTS ?? '').split(','),
      datacenter: process.env.CASSANDRA_DC ?? '',
      keyspace: `test_verify_${newRun()}`,
    };

    beforeAll(async () => {
      if (variables.length > 0) await setupKairos(cassandra);
      running = await run({
        ...environmentOf(variables),
        ...(variables.length > 0 && { CASSANDRA_KEYSPACE: cassandra.keyspace }),
      });
    });
    afterAll(async () => {
      await running?.close();
      if (variables.length > 0) await dropKeyspace(cassandra);
    });

    const all = async (metric: string): Promise<DataPoint[]> => {
      const found: DataPoint[] = [];
      const range = { fromMs: START_MS - HOUR_MS, toMs: START_MS + 4 * HOUR_MS };
      for await (const page of running.store.readSeries({ metric, ...range })) found.push(...page);
      return found;
    };

    it('finds nothing where nothing happened, for votes and for rollups', async () => {
      for (const feed of running.names.feeds.kairos) {
        const { code, report } = await running.verify(feed.name);
        expect([feed.name, code, sums(report)]).toMatchObject([feed.name, 0, clean]);
        expect(sums(report).expected).toBeGreaterThan(40);
        expect(hoursThatDiffer(report)).toEqual([]);
      }
    });

    it('finds exactly what is missing, different and too much, and repairs the first two', async () => {
      const sink = running.names.feeds.kairos[0]?.name ?? '';
      const points = await all('vote_latency');
      const [lost, changed] = [points[100], points[2_000]] as [DataPoint, DataPoint];
      const { metric, tags, timestampMs } = lost;
      await running.store.deletePoints({
        metric,
        fromMs: timestampMs,
        toMs: timestampMs + 1,
        tags: new Map(Object.entries(tags).map(([k, v]) => [k, { values: new Set([v]) }])),
      });
      const before = points.length - (await all('vote_latency')).length;
      expect(before).toBe(1);
      const wrong = { ...changed, value: 777n };
      const foreign = { ...changed, timestampMs: START_MS + HOUR_MS, tags: { who: 'nobody' } };
      await running.store.write([wrong, foreign]);

      const { code, report } = await running.verify(sink);
      expect(code).toBe(1);
      expect(sums(report)).toMatchObject({ missing: 1, different: 1, extra: 1, repaired: 0 });
      const lines = report.notes.join('\n');
      expect(lines).toContain(`missing: vote_latency`);
      expect(lines).toContain(`${timestampMs} long ${lost.value}i`);
      expect(lines).toContain(`777i, expected ${changed.value}i`);
      expect(lines).toContain(`extra: vote_latency,who=nobody ${START_MS + HOUR_MS} long`);

      const mended = await running.verify(sink, '--repair');
      // What the log knows nothing of is told and left.
      expect(mended.code).toBe(1);
      expect(sums(mended.report)).toMatchObject({
        missing: 0,
        different: 0,
        extra: 1,
        repaired: 2,
      });
      expect(await all('vote_latency')).toEqual(expect.arrayContaining([lost, changed, foreign]));
      await running.store.deletePoints({
        metric,
        fromMs: foreign.timestampMs,
        toMs: foreign.timestampMs + 1,
        tags: new Map([['who', { values: new Set(['nobody']) }]]),
      });
      expect((await running.verify(sink)).code).toBe(0);
    });
  });
});

describe.skipIf(!needs(INFLUX_NAMES))('verifying a bucket of InfluxDB', () => {
  let running: Running;
  const influx = () => influxFromEnvironment();

  beforeAll(async () => {
    running = await run(environmentOf(INFLUX_NAMES), (names) =>
      setupBuckets(
        influx(),
        BUCKETS.map((bucket) => ({ name: names.bucket(bucket), retentionMs: 0 })),
      ),
    );
  });
  afterAll(async () => {
    for (const bucket of BUCKETS) await dropBucket(influx(), running.names.bucket(bucket));
    await running?.close();
  });

  it('finds nothing where nothing happened, for votes and for rollups', async () => {
    for (const feed of running.names.feeds.influx) {
      const { code, report } = await running.verify(feed.name);
      expect([feed.name, code, sums(report)]).toMatchObject([feed.name, 0, clean]);
      expect(sums(report).expected).toBeGreaterThan(10);
    }
    const { report } = await running.verify(running.names.feeds.influx[0]?.name ?? '');
    expect(sums(report).expected).toBe(voteTimes.length);
  });

  it('finds exactly an hour’s deleted points, a changed and a strange one, and repairs', async () => {
    const sink = running.names.feeds.influx[0]?.name ?? '';
    const bucket = running.names.bucket('vote-latencies-raw');
    const hourMs = Math.ceil(START_MS / HOUR_MS) * HOUR_MS;
    const [start, stop] = [hourMs, hourMs + HOUR_MS].map((ms) => new Date(ms).toISOString());
    const { status } = await influxCall(
      influx(),
      `/api/v2/delete?org=${influx().org}&bucket=${bucket}`,
      { method: 'POST', body: JSON.stringify({ start, stop: minusNs(stop as string) }) },
    );
    expect(status).toBe(204);
    const gone = voteTimes.filter((t) => t >= hourMs && t < hourMs + HOUR_MS).length;
    expect(gone).toBeGreaterThan(500);

    const found = await running.verify(
      sink,
      '--from',
      String(hourMs),
      '--to',
      String(hourMs + HOUR_MS),
    );
    expect(found.code).toBe(1);
    expect(sums(found.report)).toEqual({ ...clean, expected: gone, missing: gone });
    expect(hoursThatDiffer(found.report)).toEqual([(start as string).slice(0, 13)]);
    const other = await running.verify(sink, '--from', String(hourMs + HOUR_MS));
    expect([other.code, sums(other.report)]).toMatchObject([0, clean]);

    // The last vote of the log, which lies in another hour, says something else.
    const vote = votePoint(JSON.parse(String(votes.at(-1)?.value)));
    const changed = { ...vote, fields: { ...vote.fields, latency_slots: 999n } };
    const strange: Point = {
      measurement: 'vote_latency',
      tags: { network: 'testnet', validator_id: 'nobody' },
      fields: { latency_slots: 1n },
      timestampNs: BigInt(hourMs + HOUR_MS) * 1_000_000n + 5n,
    };
    await new InfluxSink({ config: influx(), bucket }).write([strange, changed]);
    const seen = await running.verify(sink);
    expect(sums(seen.report)).toMatchObject({ missing: gone, different: 1, extra: 1 });
    const mended = await running.verify(sink, '--repair');
    expect(mended.code).toBe(1);
    expect(sums(mended.report)).toEqual({
      ...clean,
      expected: voteTimes.length,
      extra: 1,
      repaired: gone + 1,
    });
    expect(mended.report.notes).toEqual([
      `extra: vote_latency,network=testnet,validator_id=nobody ${strange.timestampNs} latency_slots=1i`,
    ]);
  });
});

/** The delete API's range is closed. */
const minusNs = (iso: string): string =>
  `${new Date(Date.parse(iso) - 1).toISOString().slice(0, -1)}999999Z`;
