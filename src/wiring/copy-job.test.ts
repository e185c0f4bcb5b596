import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { Jobs } from '../jobs/index.ts';
import { loadSettings, silentLogger, systemClock } from '../runtime/index.ts';
import { copyJob } from './copy-job.ts';

const FROM = { COPY_FROM_URL: 'http://127.0.0.1:1/', COPY_FROM_USER: 'reader' };
const INTO = { INFLUX_URL: 'http://127.0.0.1:2', INFLUX_ORG: 'o', INFLUX_TOKEN: 'target-token' };

function jobsWith(environment: Record<string, string>, directory = folder()): Jobs {
  const { settings } = loadSettings({ environment, configFile: undefined, flags: {} });
  return Jobs.open({
    directory,
    kinds: [copyJob(settings, systemClock)],
    clock: systemClock,
    logger: silentLogger,
    policy: { backoffBaseMs: 60_000 },
  });
}

function folder(): string {
  const directory = mkdtempSync(join(tmpdir(), 'tidemark-copy-job-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

it.each<[string, Record<string, string>, unknown, string, RegExp]>([
  ['no source', INTO, { database: 'd' }, 'JOB_NOT_OFFERED', /COPY_FROM_URL/],
  ['no target', FROM, { database: 'd' }, 'JOB_NOT_OFFERED', /INFLUX_URL/],
  [
    'an address',
    { ...FROM, ...INTO },
    { database: 'd', from: 'http://x' },
    'FIELD_INVALID',
    /input/,
  ],
  ['no database', { ...FROM, ...INTO }, {}, 'FIELD_INVALID', /database/],
  ['nothing', { ...FROM, ...INTO }, null, 'FIELD_INVALID', /input/],
  [
    'a time that is none',
    { ...FROM, ...INTO },
    { database: 'd', since: 'soon' },
    'FIELD_INVALID',
    /since/,
  ],
  [
    'an empty range',
    { ...FROM, ...INTO },
    { database: 'd', since: 5, until: 5 },
    'RANGE_INVALID',
    /before/,
  ],
])(
  '%s is refused before anything is asked of a server',
  async (_, environment, asked, code, says) => {
    const jobs = jobsWith(environment);
    try {
      const refused = jobs.submit('copy-influx', asked);
      await expect(refused).rejects.toMatchObject({ code, message: expect.stringMatching(says) });
      expect(jobs.list()).toEqual([]);
    } finally {
      await jobs.close();
    }
  },
);

it('keeps no secret where it is kept, and goes on only where it was begun', async () => {
  const directory = folder();
  const secrets = { COPY_FROM_PASSWORD: 'hidden-password', COPY_FROM_TOKEN: 'hidden-token' };
  const first = jobsWith({ ...FROM, ...INTO, ...secrets }, directory);
  const job = await first.submit('copy-influx', { database: 'd', since: 0, retentionPolicy: 'p' });
  expect(job).toMatchObject({
    title: 'http://127.0.0.1:1 d.p → http://127.0.0.1:2 d/p',
    input: { database: 'd', bucket: 'd/p', maxRows: 50_000, since: '0' },
  });
  await expect(first.submit('copy-influx', { database: 'e' })).rejects.toMatchObject({
    code: 'TOO_MANY_JOBS',
  });
  expect(JSON.stringify(first.report(job.id))).not.toMatch(/hidden|target-token/);
  await first.close();
  expect(readFileSync(join(directory, 'data.mdb')).toString('latin1')).not.toMatch(
    /hidden-password|hidden-token|target-token/,
  );

  const moved = jobsWith({ ...FROM, ...INTO, COPY_FROM_URL: 'http://127.0.0.1:3' }, directory);
  moved.resumeAll();
  expect(await moved.settled(job.id)).toMatchObject({
    state: 'stopped',
    error: { code: 'JOB_NOT_OFFERED', message: expect.stringContaining('127.0.0.1:3') },
  });
  await moved.close();
});
