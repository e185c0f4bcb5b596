/** `tidemark migrate-votes`: a SQLite database into the embedded log, before there are live votes and beside them. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Engine, startEngine } from '../../src/main.ts';
import { loadSettings } from '../../src/runtime/index.ts';
import { runCommand } from '../support/command.ts';
import { unfinished } from '../support/engine-process.ts';

const FROM_MS = Date.UTC(2024, 0, 1);
const VOTES = 6_000;
/** Between votes: six thousand span about three and a half hours. */
const STEP_MS = 2_000;

let folder: string;
let data: string;
let engine: Engine | undefined;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemark-migrate-'));
  data = join(folder, 'data');
});

afterEach(async () => {
  await engine?.stop();
  engine = undefined;
  await rm(folder, { recursive: true, force: true });
});

const pubkey = (name: string) => name.padEnd(44, '1');

/** Rows are not in order of time, as writers side by side leave them. */
function makeDatabase(file: string, time: (ms: number) => number | string | bigint): void {
  const db = new DatabaseSync(file);
  db.exec(
    'CREATE TABLE notes (text); CREATE TABLE votes (id INTEGER PRIMARY KEY, validator_pubkey, vote_account, network, slot INT, latency_slots INT, created_at)',
  );
  const insert = db.prepare(
    'INSERT INTO votes (validator_pubkey, vote_account, network, slot, latency_slots, created_at) VALUES (?, ?, ?, ?, ?, ?)',
  );
  db.exec('BEGIN');
  for (let i = 0; i < VOTES; i++) {
    const n = (i * 1_009) % VOTES;
    const who = n % 5;
    insert.run(
      pubkey(`Validator${who}`),
      pubkey(`Account${who}`),
      'testnet',
      1_000 + n,
      1 + (n % 4),
      time(FROM_MS + n * STEP_MS),
    );
  }
  db.exec('COMMIT');
  db.close();
}

const start = async (): Promise<Engine> => {
  const { settings } = loadSettings({
    environment: { LOG_LEVEL: 'silent', TIDEMARK_EPOCH_INTERVAL_MS: '50' },
    configFile: undefined,
    flags: { data, port: '0' },
  });
  engine = await startEngine(settings);
  return engine;
};

const get = async <T>(path: string): Promise<T> =>
  (await fetch(`${engine?.url}${path}`)).json() as Promise<T>;

/**
 * Votes counted by the stored five-minute rollups of the network, once nothing is left to read or to store and there
 * are as many as there will be; the last window stays open until a later vote comes.
 */
async function rolledUp(): Promise<number> {
  const range = `from=${FROM_MS}&to=${FROM_MS + VOTES * STEP_MS}&step=5m`;
  let count = 0;
  const enough = async () => {
    const { points } = await get<{ points: { count: number }[] }>(
      `/v1/networks/testnet/stats?${range}`,
    );
    count = points.reduce((sum, point) => sum + point.count, 0);
    return { left: await unfinished(engine?.url ?? ''), isMost: count > VOTES - 200 };
  };
  await expect.poll(enough, { timeout: 90_000, interval: 200 }).toEqual({ left: [], isMost: true });
  return count;
}

it.each<[string, (ms: number) => number | string | bigint, number]>([
  ['milliseconds', (ms) => ms, 0],
  ['seconds', (ms) => ms / 1_000, 0],
  ['nanoseconds', (ms) => BigInt(ms) * 1_000_000n + 5n, VOTES],
  ['text', (ms) => new Date(ms).toISOString().replace('T', ' ').replace('Z', ''), 0],
])('finds table, columns and times in %s, and tells what was finer', async (_, time, finer) => {
  const file = join(folder, 'old.db');
  makeDatabase(file, time);
  const { code, out, err } = await runCommand(['migrate-votes', file, '--data', data]);
  expect([code, err]).toEqual([0, '']);
  expect(out).toContain(`4 hours with ${VOTES} votes: as many in the log as in the database`);
  expect(out).toContain(
    finer === 0 ? 'all times are whole milliseconds' : `${finer} times were finer`,
  );
});

it('votes migrated into an empty log are rolled up as live ones, each once, in whatever order they stood', async () => {
  const file = join(folder, 'old.db');
  makeDatabase(file, (ms) => ms);
  await runCommand(['migrate-votes', file, '--data', data]);
  await start();
  expect(await rolledUp()).toBeLessThanOrEqual(VOTES);
  const { topics } = await get<{
    topics: { name: string; partitions: { nextOffset: number }[] }[];
  }>('/v1/topics');
  const late = topics.find(({ name }) => name === 'votes.late');
  expect(late?.partitions[0]?.nextOffset).toBe(0);
});

it('beside newer live votes they go a way of their own, into the same sinks, and none is late', async () => {
  const file = join(folder, 'old.db');
  makeDatabase(file, (ms) => ms);
  await start();
  const live = {
    validator: pubkey('Live'),
    voteAccount: pubkey('LiveAccount'),
    network: 'testnet',
    votedSlot: 9,
    landedSlot: 10,
    timestamp: Date.UTC(2025, 0, 1),
  };
  await fetch(`${engine?.url}/v1/topics/votes/records`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson' },
    body: `${JSON.stringify(live)}\n`,
  });
  const words = ['migrate-votes', file, '--data', data, '--url', engine?.url ?? ''];
  const { code, out } = await runCommand(words);
  expect(code).toBe(0);
  expect(out).toContain(`${VOTES} votes were replayed into the sinks`);
  expect(await rolledUp()).toBeLessThanOrEqual(VOTES);
  const { topics } = await get<{
    topics: { name: string; partitions: { nextOffset: number }[] }[];
  }>('/v1/topics');
  const ends = Object.fromEntries(topics.map((t) => [t.name, t.partitions[0]?.nextOffset]));
  expect(ends).toMatchObject({ votes: 1, 'votes.migrated': VOTES, 'votes.late': 0 });
});

it('that is interrupted in the middle of an hour, and run again, leaves no vote out and none twice', async () => {
  const file = join(folder, 'old.db');
  makeDatabase(file, (ms) => ms);
  for (const delayMs of [40, 90, 150, 400]) {
    const stop = new AbortController();
    const running = runCommand(['migrate-votes', file, '--data', data], { signal: stop.signal });
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    stop.abort('SIGINT');
    await running;
  }
  const { code, out } = await runCommand(['migrate-votes', file, '--data', data, '--json']);
  expect(code).toBe(0);
  expect(JSON.parse(out)).toMatchObject({ state: 'done', progress: { done: VOTES } });
  await start();
  const { records } = await get<{ records: { value: { votedSlot: number } }[] }>(
    '/v1/topics/votes/records?limit=10000',
  );
  const slots = records.map(({ value }) => value.votedSlot);
  expect(slots).toHaveLength(VOTES);
  expect(new Set(slots).size).toBe(VOTES);
});

it.each([
  [
    'a table that is not there',
    ['--table', 'vote'],
    /there is no table vote; there are: notes, votes/,
  ],
  ['a column that is not there', ['--map', 'votedSlot=nr'], /there is no column nr/],
  ['a field that votes have not', ['--map', 'colour=slot'], /a vote has no field colour/],
])('is refused for %s, naming what there is', async (_, words, message) => {
  const file = join(folder, 'old.db');
  makeDatabase(file, (ms) => ms);
  const args = ['migrate-votes', file, '--data', data, '--table', 'votes', ...words];
  const { code, err } = await runCommand(args);
  expect(code).toBeGreaterThan(0);
  expect(err).toMatch(message);
});
