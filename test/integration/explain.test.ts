/** `tidemark explain`: stored rollups computed again from their lineage, on an engine with its embedded log. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { recordedVotes } from '../../src/collect/index.ts';
import { type Engine, startEngine } from '../../src/main.ts';
import { loadSettings } from '../../src/runtime/index.ts';
import { runCommand } from '../support/command.ts';

interface Stored {
  readonly offset: number;
  readonly key: string;
  readonly value: { readonly window: { readonly start: number }; readonly count: number };
}

let folder: string;
let engine: Engine;
let rollups: readonly Stored[];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemark-explain-'));
  const { settings } = loadSettings({
    environment: { LOG_LEVEL: 'silent', TIDEMARK_PARTITIONS: '2' },
    configFile: undefined,
    flags: { data: folder, port: '0' },
  });
  engine = await startEngine(settings);
  const votes = [...recordedVotes()].slice(0, 30_000);
  for (let at = 0; at < votes.length; at += 5_000) {
    await engine.broker.append('votes', votes.slice(at, at + 5_000));
  }
  await engine.finish('vote-latency');
  rollups = await stored('votes.rollup.5m');
});

afterAll(async () => {
  await engine?.stop();
  await rm(folder, { recursive: true, force: true });
});

async function stored(topic: string): Promise<readonly Stored[]> {
  const all: Stored[] = [];
  const { topics } = (await (await fetch(`${engine.url}/v1/topics`)).json()) as {
    topics: { name: string; partitions: { partition: number }[] }[];
  };
  for (const { partition } of topics.find(({ name }) => name === topic)?.partitions ?? []) {
    const path = `/v1/topics/${topic}/records?partition=${partition}&limit=10000`;
    all.push(
      ...((await (await fetch(`${engine.url}${path}`)).json()) as { records: Stored[] }).records,
    );
  }
  return all;
}

const explained = (point: string) =>
  runCommand(['explain', point, '--url', engine.url ?? '', '--json']);

const named = (topic: string, { key, value }: Stored) =>
  `${topic}/${key}@${new Date(value.window.start).toISOString()}`;

it('rollups of validators and of networks match, over five minutes, an hour and a day', async () => {
  const chosen = [
    ...rollups.filter(({ key }) => key.startsWith('validator:')).slice(0, 3),
    ...rollups.filter(({ key }) => key.startsWith('network:')).slice(0, 2),
  ].map((record) => named('votes.rollup.5m', record));
  for (const topic of ['votes.rollup.1h', 'votes.rollup.1d']) {
    for (const record of (await stored(topic)).slice(-2)) chosen.push(named(topic, record));
  }
  expect(chosen).toHaveLength(9);
  for (const point of chosen) {
    const { code, out } = await explained(point);
    expect(JSON.parse(out), point).toMatchObject({ match: true, differences: [] });
    expect(code).toBe(0);
  }
});

it('a rollup that is not what its records say is shown beside what they say', async () => {
  const [right] = rollups.filter(({ key }) => key.startsWith('validator:'));
  const wrong = { ...right?.value, count: (right?.value.count ?? 0) + 1 };
  const [{ partition, offset }] = (await engine.broker.append('votes.rollup.5m', [
    { key: right?.key ?? '', value: JSON.stringify(wrong) },
  ])) as unknown as [{ partition: number; offset: number }];
  const { code, out } = await explained(`votes.rollup.5m:${partition}:${offset}`);
  expect(code).toBe(1);
  expect(JSON.parse(out)).toMatchObject({
    match: false,
    differences: [{ field: 'count', stored: wrong.count, recomputed: right?.value.count }],
  });
});

it.each([
  ['votes.rollup.5m', /expected TOPIC\/KEY@TIME/],
  ['votes.rollup.5m/network:testnet@yesterday', /expected TOPIC\/KEY@TIME/],
  ['votes.rollup.5m/network:nowhere@2026-01-01T00:00:00Z', /no rollup is stored/],
  ['votes:0:0', /no rollup is stored/],
])('%s is refused with the reason', async (point, message) => {
  const { code, err } = await explained(point);
  expect(code).toBeGreaterThan(0);
  expect(err).toMatch(message);
});
