/** `copy-influx` and `migrate-votes` killed -9 ten times: the target ends equal to the source, nothing twice. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openEmbeddedBroker } from '../../src/broker/index.ts';
import { seededRandom } from '../../src/collect/index.ts';
import { silentLogger, systemClock } from '../../src/runtime/index.ts';
import { CommandProcess } from '../support/command-process.ts';
import { recordsOf } from '../support/engine-contents.ts';
import { INFLUX_NAMES, influxFromEnvironment, withBucket } from '../support/influx.ts';
import { mixedLines } from '../support/mixed-points.ts';
import { OldInflux } from '../support/old-influx.ts';
import { needs } from '../support/require.ts';

const KILLS = 10;
const POINTS = 60_000;
const VOTES = 60_000;
/** A life may end while it starts, or far into its work. */
const LIFE_MS_MIN = 500;
const LIFE_MS_MAX = 4_500;

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemark-job-crash-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

interface Lives {
  /** How many were killed, and did not end before. */
  readonly killed: number;
  /** What the target held after each life. */
  readonly held: readonly number[];
  /** What the last one, which nobody killed, printed. */
  readonly printed: string;
}

async function killedTenTimes(
  words: readonly string[],
  environment: Readonly<Record<string, string>>,
  seed: number,
  count: () => Promise<number>,
): Promise<Lives> {
  const random = seededRandom(seed);
  const held: number[] = [];
  let killed = 0;
  for (let life = 0; life < KILLS; life++) {
    const command = new CommandProcess(words, environment);
    await systemClock.sleep(LIFE_MS_MIN + (random() % (LIFE_MS_MAX - LIFE_MS_MIN)));
    if (command.isAlive) killed++;
    await command.kill();
    held.push(await count());
  }
  const last = new CommandProcess(words, environment);
  expect(await last.exit(), last.printed).toBe(0);
  return { killed, held, printed: last.printed };
}

/** Some life ended with the work half done: else the kills would have shown nothing. */
const halfDone = (held: readonly number[], all: number): readonly number[] =>
  held.filter((count) => count > 0 && count < all);

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
      await old.write('crash', mixedLines(POINTS, { fromMs: Date.UTC(2024, 0, 31), perSecond: 2 }));
      await withBucket(config, { what: 'copy-crash' }, async (bucket) => {
        const words = ['copy-influx', '--from', old.url, '--database', 'crash', '--json'];
        words.push('--into', config.url, '--org', config.org, '--bucket', bucket);
        words.push('--state', join(folder, 'job'), '--max-rows', '100');
        const token = { authorization: `Token ${config.token}` };
        const target = () => pointsIn(config.url, bucket, token);
        const environment = { INFLUX_TOKEN: config.token };
        const { killed, held, printed } = await killedTenTimes(
          words,
          environment,
          61,
          async () => [...(await target()).values()].flat().length,
        );
        expect(killed).toBeGreaterThanOrEqual(KILLS / 2);
        expect(halfDone(held, POINTS), `${held}`).not.toEqual([]);
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
      insert.run(`V${who}`, `A${who}`, 'testnet', i, 1, Date.UTC(2024, 0, 1) + i * 400);
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
    const { killed, held } = await killedTenTimes(
      words,
      {},
      62,
      async () => (await slots()).length,
    );
    expect(killed).toBeGreaterThanOrEqual(KILLS / 2);
    expect(halfDone(held, VOTES), `${held}`).not.toEqual([]);
    const found = (await slots()).sort((a, b) => a - b);
    expect(found).toEqual(Array.from({ length: VOTES }, (_, slot) => slot));
  });
});
