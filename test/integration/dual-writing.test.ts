/** Two databases written at once, one alone, and both again, while votes come: neither loses one [V8]. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { simulateVotes } from '../../src/collect/index.ts';
import { setupBuckets } from '../../src/databases/influx/index.ts';
import { voteFeedsFrom, voteLatency, voteLatencyTopics } from '../../topologies/index.ts';
import { runCommand } from '../support/command.ts';
import { dropBucket, INFLUX_NAMES, influxCall, influxFromEnvironment } from '../support/influx.ts';
import { needs } from '../support/require.ts';
import { newRun } from '../support/run-names.ts';
import { clean, sums, type VerifiedEngine, verifiedEngine } from '../support/verified-engine.ts';

const BUCKETS = ['vote-latencies-raw', 'vote-latencies-5m', 'validator-metrics'];
const PART = 1_500;
const MODES = ['dual', 'influx', 'dual', 'kairos', 'influx', 'dual'] as const;

const votes = [
  ...simulateVotes({
    seed: 71,
    startMs: 1_757_500_200_000,
    validators: 5,
    ratePerSecond: 1,
    count: PART * MODES.length,
  }),
];

describe.skipIf(!needs(INFLUX_NAMES))('dual writing', () => {
  const run = newRun();
  const bucket = (name: string) => `test-${run}-${name}`;
  let running: VerifiedEngine;

  beforeAll(async () => {
    await setupBuckets(
      influxFromEnvironment(),
      BUCKETS.map((name) => ({ name: bucket(name), retentionMs: 0 })),
    );
    running = await verifiedEngine(
      Object.fromEntries(INFLUX_NAMES.map((name) => [name, process.env[name]])),
      { topologies: [voteLatency], feeds: voteFeedsFrom(voteLatencyTopics, { bucket }) },
    );
  });
  afterAll(async () => {
    await running?.close();
    for (const name of BUCKETS) await dropBucket(influxFromEnvironment(), bucket(name));
  });

  const command = (...words: string[]) =>
    runCommand(['dual-writing', ...words, '--url', running.engine.url ?? '']);
  const expected = async (sink: string) => sums((await running.verify(sink)).report).expected;
  const waiting = async (): Promise<Record<string, number>> => {
    const reply = await fetch(`${running.engine.url}/v1/backlog`);
    const { sinks } = (await reply.json()) as { sinks: { sink: string; points: number }[] };
    return Object.fromEntries(sinks.map(({ sink, points }) => [sink, points]));
  };

  test('switched at run time and over a restart, each database ends with every vote and rollup', async () => {
    for (const [part, mode] of MODES.entries()) {
      const { code, out } = await command(mode);
      expect([code, out.split('\n')[0]]).toEqual([0, `mode: ${mode}`]);
      const { broker } = running.engine;
      await broker.append('votes', votes.slice(part * PART, (part + 1) * PART));
      // The one that waits stays where it was, also when the process begins anew.
      if (mode === 'kairos') {
        running = await running.restarted(async () => {});
        expect((await command()).out.split('\n')[0]).toBe('mode: kairos');
      }
      if (mode !== 'dual') continue;
      await running.engine.finish('');
    }
    await running.engine.finish(voteLatency.name);
    expect(Object.values(await waiting()).every((points) => points === 0)).toBe(true);
    const distinct = new Set(votes.map(({ value }) => String(value))).size;
    expect(await expected('influx.votes')).toBe(distinct);
    const compared = await command('--compare');
    expect([compared.code, compared.out], compared.err).toEqual([
      0,
      expect.stringMatching(/^sink.*waiting\n(\S+ +(\d+) +\2 +0 +0 +0 +0\n){5}\nboth hold/),
    ]);
  });

  test('the comparison names the database and the hour that lost something, and ends with 1', async () => {
    const influx = influxFromEnvironment();
    const hourMs = Math.ceil(1_757_500_200_000 / 3_600_000) * 3_600_000;
    const { status } = await influxCall(
      influx,
      `/api/v2/delete?org=${influx.org}&bucket=${bucket('vote-latencies-raw')}`,
      {
        method: 'POST',
        body: JSON.stringify({
          start: new Date(hourMs).toISOString(),
          stop: new Date(hourMs + 60_000).toISOString(),
        }),
      },
    );
    expect(status).toBe(204);
    const { code, out } = await command('--compare');
    expect(code).toBe(1);
    const [, hours = ''] = out.split('\n\n');
    expect(hours.split('\n').slice(1)).toEqual([
      expect.stringMatching(
        `^influx.votes +${new Date(hourMs).toISOString()} +\\d+ +\\d+ +\\d+ +0 +0$`,
      ),
    ]);
    const mended = await running.verify('influx.votes', '--repair');
    expect(sums(mended.report)).toMatchObject({ ...clean, repaired: expect.any(Number) });
    expect((await command('--compare')).code).toBe(0);
    expect((await command('influx', '--compare')).code).toBe(2);
  });
});
