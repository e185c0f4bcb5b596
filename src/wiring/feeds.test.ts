import { expect, test } from 'vitest';
import { temporaryDirectory } from '../../test/support/embedded-broker.ts';
import { pointsOf } from '../../test/support/engine-contents.ts';
import { embeddedWideRows } from '../databases/embedded/index.ts';
import { KairosStore } from '../databases/kairos/index.ts';
import type { DataPoint } from '../model/index.ts';
import { loadSettings, silentLogger, systemClock } from '../runtime/index.ts';
import { openDatabases } from './feeds.ts';

const BATCH = 50;

test('of two votes that share a KairosDB point the later one in the log stays', async () => {
  const data = await temporaryDirectory();
  const { settings } = loadSettings({
    environment: { INFLUX_BATCH_SIZE: String(BATCH) },
    flags: { data },
  });
  const databases = await openDatabases(settings, systemClock, silentLogger);
  const votes = databases.feeds.find(({ feed }) => feed.name === 'kairos.votes');
  const vote = (validator: string, latency: number): DataPoint => ({
    metric: 'vote_latency',
    tags: { validator, vote_account: 'a', network: 'testnet' },
    timestampMs: 1_757_500_000_000,
    value: BigInt(latency),
  });
  const write = async (points: readonly DataPoint[]) =>
    expect(await votes?.port.write(points, new AbortController().signal)).toEqual([]);
  await write([vote('ours', 0)]);
  // A batch of series that were never seen takes longer than one of a known series behind it.
  const slow = Array.from({ length: BATCH - 1 }, (_, i) => vote(`new ${i}`, 0));
  const fast = Array.from({ length: BATCH }, () => vote('ours', 2));
  await write([vote('ours', 1), ...slow, ...fast]);
  await databases.close();

  const rows = embeddedWideRows({ dataDirectory: data, clock: systemClock });
  const store = new KairosStore({ rows, clock: systemClock, readOnly: true });
  await store.connect();
  const stored = await pointsOf(store);
  await store.close();
  const [ours] = [...stored].filter(([about]) => about.includes('ours')).map(([, value]) => value);
  expect(ours).toBe('bigint 2');
});
