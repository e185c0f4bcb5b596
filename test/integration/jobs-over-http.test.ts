/** `copy-influx` and `migrate-votes` as jobs of an engine: started, paused, resumed and reported over HTTP. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { JobReport, JobView } from '../../src/jobs/index.ts';
import { type Engine, startEngine } from '../../src/main.ts';
import { loadSettings } from '../../src/runtime/index.ts';
import { INFLUX_NAMES, influxCall, influxFromEnvironment, withBucket } from '../support/influx.ts';
import { mixedLines } from '../support/mixed-points.ts';
import { OldInflux } from '../support/old-influx.ts';
import { needs } from '../support/require.ts';

let folder: string;
let engine: Engine | undefined;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemark-http-jobs-'));
});

afterEach(async () => {
  await engine?.stop();
  engine = undefined;
  await rm(folder, { recursive: true, force: true });
});

async function start(environment: Record<string, string>, roles?: readonly ['api']): Promise<void> {
  const { settings } = loadSettings({
    environment: { LOG_LEVEL: 'silent', ...environment },
    configFile: undefined,
    flags: { data: join(folder, 'data'), port: '0' },
  });
  engine = await startEngine(settings, roles && { roles });
}

async function call<T>(method: string, path: string, body?: object): Promise<[number, T]> {
  const reply = await fetch(`${engine?.url}${path}`, {
    method,
    ...(body && {
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    }),
  });
  return [reply.status, (await reply.json()) as T];
}

async function ended(id: string): Promise<JobReport> {
  for (;;) {
    const [, job] = await call<JobView>('GET', `/v1/jobs/${id}`);
    if (job.endedAt !== null || job.state === 'stopped') break;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return (await call<JobReport>('GET', `/v1/jobs/${id}/report`))[1];
}

describe('migrate-votes', () => {
  const VOTES = 3_000;

  it('brings a file below the folder into the log, and no other', async () => {
    const allowed = join(folder, 'allowed');
    await mkdir(allowed);
    await writeFile(join(folder, 'outside.db'), '');
    await writeFile(join(allowed, 'notes.txt'), 'no database');
    const db = new DatabaseSync(join(allowed, 'old.db'));
    db.exec('CREATE TABLE votes (validator, vote_account, slot INT, latency INT, time INT)');
    db.exec('BEGIN');
    const insert = db.prepare('INSERT INTO votes VALUES (?, ?, ?, ?, ?)');
    for (let i = 0; i < VOTES; i++) {
      insert.run(`V${i % 9}`, `A${i % 9}`, i, 1, Date.UTC(2024, 0, 1) + i * 4_000);
    }
    db.exec('COMMIT');
    db.close();

    await start({ TIDEMARK_MIGRATE_DIRECTORY: allowed });
    const submit = (input: object) =>
      call<JobView & { code: string }>('POST', '/v1/jobs', { kind: 'migrate-votes', input });
    const refusals: [object, string][] = [
      [{ file: '../outside.db' }, 'FILE_NOT_OFFERED'],
      [{ file: 'notes.txt' }, 'DATABASE_UNUSABLE'],
      [{ file: 'old.db' }, 'COLUMNS_UNKNOWN'],
      [{ file: 'old.db', table: 'vote' }, 'TABLE_UNKNOWN'],
      [{ file: 7 }, 'FIELD_INVALID'],
    ];
    for (const [input, code] of refusals) {
      const [status, problem] = await submit(input);
      expect([status, problem.code]).toEqual([422, code]);
    }

    const [status, job] = await submit({ file: 'old.db', network: 'testnet' });
    expect([status, job.kind]).toEqual([202, 'migrate-votes']);
    expect(await ended(job.id)).toMatchObject({
      state: 'done',
      progress: { done: VOTES },
      failures: [],
      summary: [expect.stringContaining(`${VOTES} votes`), 'all times are whole milliseconds'],
    });
    const [, page] = await call<{ records: { key: string; value: { votedSlot: number } }[] }>(
      'GET',
      '/v1/topics/votes/records?from=0&limit=10000',
    );
    expect(page.records.map(({ value }) => value.votedSlot)).toEqual([...Array(VOTES).keys()]);
    expect(page.records[10]?.key).toBe('V1');
  });
});

describe.skipIf(!needs(INFLUX_NAMES))('copy-influx', () => {
  const POINTS = 20_000;

  it('copies what the settings name, is paused and resumed, and keeps no secret', async () => {
    const target = influxFromEnvironment();
    const old = await OldInflux.start({ auth: true });
    try {
      await old.query(`CREATE USER reader WITH PASSWORD 'hidden-password' WITH ALL PRIVILEGES`);
      await old.query('CREATE DATABASE telegraf', '', 'reader:hidden-password');
      const lines = mixedLines(POINTS, { fromMs: Date.UTC(2024, 0, 31), perSecond: 0.5 });
      await old.write('telegraf', lines, 'reader:hidden-password');
      await withBucket(target, { what: 'copy-http' }, async (bucket) => {
        const environment = {
          COPY_FROM_URL: old.url,
          COPY_FROM_USER: 'reader',
          COPY_FROM_PASSWORD: 'hidden-password',
          INFLUX_URL: target.url,
          INFLUX_ORG: target.org,
          INFLUX_TOKEN: target.token,
        };
        await start(environment, ['api']);
        const input = { database: 'telegraf', bucket, measurements: ['mix*'], maxRows: 500 };
        const [status, job] = await call<JobView>('POST', '/v1/jobs', {
          kind: 'copy-influx',
          input,
        });
        expect(status).toBe(202);
        const [, paused] = await call<JobView>('POST', `/v1/jobs/${job.id}/pause`);
        expect(paused.state).toBe('paused');
        // Of another process, since the first is gone.
        await engine?.stop();
        await start(environment, ['api']);
        const [, found] = await call<JobView>('GET', `/v1/jobs/${job.id}`);
        expect(found.state).toBe('paused');
        await call('POST', `/v1/jobs/${job.id}/resume`);
        const report = await ended(job.id);
        expect(report).toMatchObject({ state: 'done', progress: { done: POINTS }, failures: [] });

        const query = new URLSearchParams({ db: bucket, q: 'SELECT count(i) FROM mixed' });
        const { json } = await influxCall(target, `/query?${query}`);
        expect(JSON.stringify(json)).toContain(`,${POINTS}]`);
        const kept = await readFile(join(folder, 'data', 'jobs', 'data.mdb'), 'latin1');
        for (const text of [kept, JSON.stringify(report)]) {
          expect(text).not.toContain('hidden-password');
          expect(text).not.toContain(target.token);
        }
      });
    } finally {
      await old.stop();
    }
  });
});
