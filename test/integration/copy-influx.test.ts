/** `tidemark copy-influx` from a real InfluxDB 1.x of its own to the real 2.7. */
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type CommandOutcome, runCommand } from '../support/command.ts';
import { INFLUX_NAMES, influxFromEnvironment, withBucket } from '../support/influx.ts';
import { awkwardLines, mixedLines } from '../support/mixed-points.ts';
import { OldInflux } from '../support/old-influx.ts';
import { needs } from '../support/require.ts';

const FROM_MS = Date.UTC(2024, 0, 31, 22, 30);

describe.skipIf(!needs(INFLUX_NAMES))('copying an InfluxDB 1.x', () => {
  let config: ReturnType<typeof influxFromEnvironment>;
  let old: OldInflux;
  let folder: string;
  let databases = 0;
  let database: string;

  beforeAll(async () => {
    config = influxFromEnvironment();
    old = await OldInflux.start();
    folder = await mkdtemp(join(tmpdir(), 'tidemark-copy-'));
  });

  afterAll(async () => {
    await old?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  beforeEach(async () => {
    database = `copied${databases++}`;
    await old.query(`CREATE DATABASE ${database}`);
  });

  const copy = (
    bucket: string,
    words: readonly string[] = [],
    options: { readonly from?: string; readonly signal?: AbortSignal } = {},
  ): Promise<CommandOutcome> =>
    runCommand(
      [
        ...['copy-influx', '--from', options.from ?? old.url, '--database', database],
        ...['--into', config.url, '--org', config.org, '--bucket', bucket],
        ...['--state', join(folder, database), '--backoff-base-ms', '50', ...words],
      ],
      {
        environment: { INFLUX_TOKEN: config.token },
        ...(options.signal ? { signal: options.signal } : {}),
      },
    );

  /** Both servers' own JSON of everything, series by series: what was stored, by neither's client. */
  const contents = async (
    bucket: string,
    where = '',
    from = '/.*/',
  ): Promise<{ source: unknown; target: unknown }> => {
    const sorted = (text: string) => {
      const { results } = JSON.parse(text.replace(/(?<=[[,])-?\d{16,}(?=[,\]])/g, '"$&"')) as {
        results: { series?: { name: string; tags?: object; values: unknown[][] }[] }[];
      };
      return (results[0]?.series ?? [])
        .map((s) => ({ ...s, values: s.values.map((v) => JSON.stringify(v)).sort() }))
        .sort((a, b) =>
          JSON.stringify([a.name, a.tags]) < JSON.stringify([b.name, b.tags]) ? -1 : 1,
        );
    };
    const both = async (query: string) => {
      const options = new URLSearchParams({ db: bucket, epoch: 'ns', q: query });
      const reply = await fetch(`${config.url}/query?${options}`, {
        headers: { authorization: `Token ${config.token}` },
      });
      return [sorted(await old.query(query, database)), sorted(await reply.text())];
    };
    const [source, target] = await both(`SELECT *::field FROM ${from} ${where} GROUP BY *`);
    const [types, typesThere] = await both('SHOW FIELD KEYS');
    return { source: { points: source, types }, target: { points: target, types: typesThere } };
  };

  it('carries every type and every awkward character over exactly, in pages of any size', async () => {
    await old.write(database, [
      ...awkwardLines(FROM_MS),
      ...mixedLines(5_000, { fromMs: FROM_MS, perSecond: 1 }),
      // More points in one instant than a page holds.
      ...Array.from({ length: 25 }, (_, i) => `burst,n=${i} v=${i}i ${FROM_MS}000000`),
    ]);
    for (const rows of ['10', '50000']) {
      await withBucket(config, { what: 'copy' }, async (bucket) => {
        const outcome = await copy(bucket, ['--max-rows', rows, '--json']);
        expect(outcome.code).toBe(0);
        expect(JSON.parse(outcome.out)).toMatchObject({ state: 'done', failures: [], notes: [] });
        const { source, target } = await contents(bucket);
        expect(target).toEqual(source);
      });
    }
  });

  it('finds every hour, whichever of the fields has points in it', async () => {
    // By hour after the first: which fields, that one has three points and the other one.
    const fields = ['ab', 'a', '', 'b', 'ab', '', '', 'b', 'a', 'b', '', 'ab'];
    const lines = fields.flatMap((some, hour) => {
      const at = (second: number) => `${FROM_MS + hour * 3_600_000 + second * 1_000}000000`;
      return [
        ...(some.includes('a') ? [1, 2, 3].map((s) => `sparse,host=x a=${s}i ${at(s)}`) : []),
        ...(some.includes('b') ? [`sparse,host=y count_b="${hour}" ${at(4)}`] : []),
      ];
    });
    await old.write(database, lines);
    await withBucket(config, { what: 'copy' }, async (bucket) => {
      const plan = await copy(bucket, ['--dry-run', '--json']);
      const hours = fields.filter((some) => some !== '').length;
      expect(JSON.parse(plan.out)).toMatchObject({
        measurements: [{ measurement: 'sparse', units: hours }],
      });
      expect(await copy(bucket)).toMatchObject({ code: 0, err: '' });
      const { source, target } = await contents(bucket);
      expect(target).toEqual(source);
    });
  });

  it('copies nothing twice, and says when it was done', async () => {
    await old.write(database, mixedLines(500, { fromMs: FROM_MS, perSecond: 1 }));
    await withBucket(config, { what: 'copy' }, async (bucket) => {
      expect(await copy(bucket)).toMatchObject({ code: 0, err: '' });
      const again = await copy(bucket);
      expect(again.code).toBe(0);
      expect(again.err).toMatch(/this job was done 20.*; --fresh does all of it again/);
    });
  });

  it('takes a range, patterns of measurements, and a dry run that writes nothing', async () => {
    await old.write(database, [
      ...mixedLines(200, { fromMs: FROM_MS, perSecond: 1, measurement: 'cpu' }),
      ...mixedLines(200, { fromMs: FROM_MS, perSecond: 1, measurement: 'cpu_total' }),
      ...mixedLines(200, { fromMs: FROM_MS, perSecond: 1, measurement: 'disk' }),
    ]);
    await withBucket(config, { what: 'copy' }, async (bucket) => {
      const words = ['--measurement', 'cpu*', '--since', `${FROM_MS + 50_000}`];
      words.push('--until', new Date(FROM_MS + 150_000).toISOString());
      const dry = await copy(bucket, [...words, '--dry-run']);
      expect(dry.out).toMatch(
        /^cpu +1 +100 .*\ncpu_total +1 +100 .*\nwould copy about 200 points\n$/m,
      );
      expect((await contents(bucket)).target).toMatchObject({ points: [] });
      const done = await copy(bucket, [...words, '--json']);
      expect(JSON.parse(done.out)).toMatchObject({ state: 'done', progress: { done: 200 } });
      const nowhere = await copy(bucket, ['--database', 'nosuch']);
      expect(nowhere.code).toBe(1);
      expect(nowhere.err).toMatch(/no database "nosuch"; this user sees: .*INFLUX_NOT_FOUND/);
      const wrong = await copy(bucket, ['--measurement', 'cpuu']);
      expect(wrong.code).not.toBe(0);
      expect(wrong.err).toContain('cpu, cpu_total, disk');
    });
  });

  it('a field that changed its type comes over where the target can hold both, and is listed where not', async () => {
    await old.query(
      `CREATE RETENTION POLICY hourly ON ${database} DURATION INF REPLICATION 1 SHARD DURATION 1h DEFAULT`,
    );
    const hour = 3_600_000;
    const at = (ms: number) => `${ms}000000`;
    await old.write(database, [
      `far v=9007199254740993i ${at(FROM_MS)}`,
      // 2.x has shards of a week here.
      `far v=2.5 ${at(FROM_MS + 24 * 30 * hour)}`,
      `near v=1i,w=1i ${at(FROM_MS)}`,
      `near v=2.5,w=2i ${at(FROM_MS + hour)}`,
    ]);
    await withBucket(config, { what: 'copy' }, async (bucket) => {
      const outcome = await copy(bucket, ['--json']);
      expect(outcome.code).toBe(1);
      const report = JSON.parse(outcome.out);
      expect(report.state).toBe('failed');
      expect(report.units).toMatchObject({ total: 4, done: 3, failed: 1 });
      // Two writes are on their way at once: the first to arrive decides the field's type.
      expect(report.failures).toEqual([
        expect.objectContaining({
          unit: expect.stringMatching(/^near 2024-01-31T2[23]$/),
          code: 'POINTS_REFUSED',
        }),
      ]);
      expect(report.failures[0].message).toMatch(/refused 1 of 1 points.*type/);
      // Within one shard: over several, a server shows whole numbers as floats.
      for (const where of [
        `time < ${at(FROM_MS + hour / 2)}`,
        `time > ${at(FROM_MS + 9 * hour)}`,
      ]) {
        const { source, target } = await contents(bucket, `WHERE ${where}`, 'far');
        expect(target).toMatchObject({ points: (source as { points: unknown }).points });
      }
    });
  });

  it('says what is stored under another name, since line protocol can’t say it', async () => {
    await old.write(database, [`odd,t=a\tb v=1i ${FROM_MS}000000`]);
    await withBucket(config, { what: 'copy' }, async (bucket) => {
      const { out } = await copy(bucket, ['--json']);
      const report = JSON.parse(out);
      expect(report).toMatchObject({ state: 'done', noteCount: 1 });
      expect(report.notes[0]).toContain('is stored as');
    });
  });

  it('outlives kills of the source in the middle', async () => {
    await old.write(database, mixedLines(30_000, { fromMs: FROM_MS, perSecond: 1 }));
    await withBucket(config, { what: 'copy' }, async (bucket) => {
      // By replies, of which there are more than sixty: a clock would be too late on a quick machine.
      const before = await countingBefore(old.url);
      const words = ['--max-rows', '500', '--attempts', '0', '--json'];
      const copying = copy(bucket, words, { from: before.url });
      for (const replies of [10, 25, 40]) {
        await before.replied(replies);
        await old.kill();
        await sleep(300);
        await old.restart();
      }
      const outcome = await copying;
      before.close();
      expect(outcome.code).toBe(0);
      const { source, target } = await contents(bucket);
      expect(target).toEqual(source);
    });
  });

  it('is put down by a signal at a unit’s bound, says how to go on, and goes on', async () => {
    await old.write(database, mixedLines(30_000, { fromMs: FROM_MS, perSecond: 1 }));
    await withBucket(config, { what: 'copy' }, async (bucket) => {
      const stop = new AbortController();
      const before = await countingBefore(old.url);
      const from = before.url;
      const copying = copy(bucket, ['--max-rows', '200'], { from, signal: stop.signal });
      // Of a hundred and fifty pages.
      await before.replied(60);
      stop.abort('SIGINT');
      const first = await copying;
      expect(first.code).toBe(1);
      expect(first.err).toMatch(/put down after \d+ of 9 units; the same command goes on/);
      const second = await copy(bucket, ['--max-rows', '5000'], { from });
      before.close();
      expect(second).toMatchObject({ code: 0 });
      expect(second.err).toMatch(/going on with the job of 20.*: \d+ of 9 units are done/);
      const { source, target } = await contents(bucket);
      expect(target).toEqual(source);
    });
  });

  it('never asks for more rows than it may, so that a server which dies of a large reply lives', async () => {
    // All in one hour: more than the server bears at once.
    await old.write(
      database,
      mixedLines(120_000, { fromMs: Date.UTC(2024, 0, 31, 20), perSecond: 40 }),
    );
    const fragile = await dyingAt(old.url, 100_000);
    try {
      await withBucket(config, { what: 'copy' }, async (bucket) => {
        const outcome = await copy(bucket, ['--json'], { from: fragile.url });
        expect(fragile.isDead()).toBe(false);
        expect(JSON.parse(outcome.out)).toMatchObject({
          state: 'done',
          progress: { done: 120_000 },
          units: { total: 1 },
        });
        // That it would have died: the same again, without which the job is done already and asks for nothing.
        const words = ['--fresh', '--max-rows', '110000', '--attempts', '2'];
        await copy(bucket, words, { from: fragile.url });
        expect(fragile.isDead()).toBe(true);
      });
    } finally {
      fragile.close();
    }
  }, 300_000);
});

/** Stands before a server and counts the replies that came through whole. */
async function countingBefore(upstream: string): Promise<{
  url: string;
  replied(count: number): Promise<void>;
  close(): void;
}> {
  let replies = 0;
  const server: Server = createServer((incoming, outgoing) => {
    const { method, headers } = incoming;
    const forward = request(`${upstream}${incoming.url}`, { method, headers }, (reply) => {
      outgoing.writeHead(reply.statusCode ?? 502, reply.headers);
      reply.on('end', () => replies++);
      reply.on('error', () => incoming.socket.destroy());
      reply.pipe(outgoing);
    });
    forward.on('error', () => incoming.socket.destroy());
    incoming.pipe(forward);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    async replied(count) {
      while (replies < count) await sleep(1);
    },
    close: () => server.close(),
  };
}

/** Stands before a server and dies when a reply has more rows than it bears, as old servers did. */
async function dyingAt(
  upstream: string,
  rowsMax: number,
): Promise<{ url: string; isDead(): boolean; close(): void }> {
  let dead = false;
  const server: Server = createServer((incoming, outgoing) => {
    if (dead) return void incoming.socket.destroy();
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk) => chunks.push(chunk));
    incoming.on('end', async () => {
      const body = Buffer.concat(chunks);
      const headers = { ...incoming.headers };
      const csv = await fetch(`${upstream}${incoming.url}`, {
        method: 'POST',
        headers: { accept: 'application/csv', 'content-type': headers['content-type'] ?? '' },
        body,
      });
      let rows = 0;
      for (const line of (await csv.text()).split('\n')) if (/^\w+,/.test(line)) rows++;
      if (rows > rowsMax) {
        dead = true;
        return void incoming.socket.destroy();
      }
      const forward = request(
        `${upstream}${incoming.url}`,
        { method: incoming.method, headers },
        (reply) => {
          outgoing.writeHead(reply.statusCode ?? 502, reply.headers);
          reply.pipe(outgoing);
        },
      );
      forward.on('error', () => incoming.socket.destroy());
      forward.end(body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, isDead: () => dead, close: () => server.close() };
}
