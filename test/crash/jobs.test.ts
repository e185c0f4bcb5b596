/** `copy-influx` and `migrate-votes` killed -9 ten times: the target ends equal to the source, nothing twice. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openEmbeddedBroker } from '../../src/broker/index.ts';
import { silentLogger, systemClock } from '../../src/runtime/index.ts';
import { CommandProcess } from '../support/command-process.ts';
import { recordsOf } from '../support/engine-contents.ts';
import { INFLUX_NAMES, influxFromEnvironment, withBucket } from '../support/influx.ts';
import { halfDone, killTenTimes, UnitsDone } from '../support/killed-jobs.ts';
import { mixedLines } from '../support/mixed-points.ts';
import { OldInflux } from '../support/old-influx.ts';
import { needs } from '../support/require.ts';

const POINTS = 60_000;
const VOTES = 60_000;

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemark-job-crash-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** Ten lives of a command, then one that nobody kills; resolves with what that printed. */
async function killedTenTimes(command: {
  readonly words: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly state: string;
  readonly seed: number;
  readonly all: number;
  readonly held: () => Promise<number>;
}): Promise<string> {
  const { words, environment, state, seed, all, held } = command;
  const done = new UnitsDone(state);
  const counts = await killTenTimes({
    begin: () => new CommandProcess(words, environment),
    progress: () => done.read(),
    isKept: true,
    seed,
    held,
  });
  await done.close();
  expect(halfDone(counts, all), `${counts}`).not.toEqual([]);
  const last = new CommandProcess(words, environment);
  expect(await last.exit(), last.printed).toBe(0);
  return last.printed;
}

/** Every point by its series: tags, then rows of time and fields, integers with all their digits. */
async function pointsIn(
  url: string,
  database: string,
  headers: Record<string, string>,
): Promise<Map<string, unknown[]>> {
  const q = 'SELECT *::field FROM mixed GROUP BY *';
  const options = new URLSearchParams({ db: database, epoch: 'ns', q });
  const reply = await fetch(`${url}/query?${options}`, { headers });
  const exact = (await reply.text()).replace(/(?<=[[,])-?\d{16,}(?=[,\]])/g, '"$&"');
  const { results } = JSON.parse(exact) as {
    results: { series?: { tags: object; values: unknown[] }[] }[];
  };
  const series = results[0]?.series ?? [];
  return new Map(series.map(({ tags, values }) => [JSON.stringify(tags), values]));
}

describe.skipIf(!needs(INFLUX_NAMES))('copy-influx', () => {
  test('killed at ten random moments ends with the target equal to the source', async () => {
    const config = influxFromEnvironment();
    const old = await OldInflux.start();
    try {
      await old.query('CREATE DATABASE crash');
      await old.write(
        'crash',
        mixedLines(POINTS, { fromMs: Date.UTC(2024, 0, 31), perSecond: 0.2 }),
      );
      await withBucket(config, { what: 'copy-crash' }, async (bucket) => {
        const words = ['copy-influx', '--from', old.url, '--database', 'crash', '--json'];
        words.push('--into', config.url, '--org', config.org, '--bucket', bucket);
        words.push('--state', join(folder, 'job'), '--max-rows', '100');
        const token = { authorization: `Token ${config.token}` };
        const target = () => pointsIn(config.url, bucket, token);
        const printed = await killedTenTimes({
          words,
          environment: { INFLUX_TOKEN: config.token },
          state: join(folder, 'job'),
          seed: 61,
          all: POINTS,
          held: async () => [...(await target()).values()].flat().length,
        });
        const source = await pointsIn(old.url, 'crash', {});
        expect([...source.values()].flat()).toHaveLength(POINTS);
        expect(await target()).toEqual(source);
        // The job's own account, over all lives: no unit counted twice.
        const report = JSON.parse(printed.slice(printed.indexOf('{'))) as object;
        expect(report).toMatchObject({ state: 'done', progress: { done: POINTS }, failures: [] });
      });
    } finally {
      await old.stop();
    }
  });
});

describe('migrate-votes', () => {
  test('killed at ten random moments leaves every vote once in the log', async () => {
    const file = join(folder, 'old.db');
    const db = new DatabaseSync(file);
    db.exec(
      'CREATE TABLE votes (validator, vote_account, network, slot INT, latency INT, time INT)',
    );
    db.exec('BEGIN');
    const insert = db.prepare('INSERT INTO votes VALUES (?, ?, ?, ?, ?, ?)');
    for (let i = 0; i < VOTES; i++) {
      const who = `${i % 9}`.padEnd(40, '1');
      insert.run(`V${who}`, `A${who}`, 'testnet', i, 1, Date.UTC(2024, 0, 1) + i * 4_000);
    }
    db.exec('COMMIT');
    db.close();

    const data = join(folder, 'data');
    const slots = async (): Promise<number[]> => {
      const broker = await openEmbeddedBroker({
        directory: data,
        clock: systemClock,
        logger: silentLogger,
      });
      try {
        const votes = await recordsOf(broker, ['votes']);
        return votes.map(({ value }) => (JSON.parse(value) as { votedSlot: number }).votedSlot);
      } finally {
        await broker.close();
      }
    };
    const words = ['migrate-votes', file, '--data', data];
    await killedTenTimes({
      words,
      environment: {},
      state: join(data, 'migrate-votes'),
      seed: 62,
      all: VOTES,
      held: async () => (await slots()).length,
    });
    const found = (await slots()).sort((a, b) => a - b);
    expect(found).toEqual(Array.from({ length: VOTES }, (_, slot) => slot));
  });
});
