import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type FakeEngine, fakeEngine } from '../../test/support/fake-engine.ts';
import { standIn } from '../../test/support/stand-in.ts';
import { createServer } from '../api/index.ts';
import { systemClock } from '../runtime/index.ts';
import type { Engine, MainModule, StartOptions } from './engine.ts';
import { runProgram } from './program.ts';
import type { Terminal } from './terminal.ts';

let directory: string;
let engine: FakeEngine;
let server: Awaited<ReturnType<typeof createServer>>;
let url: string;
let stop: AbortController;
let started: { options: StartOptions | undefined; settings: { port: number; data: string } }[];
let stops: number;

beforeAll(async () => {
  engine = await fakeEngine();
  server = await createServer(standIn(() => engine));
  url = await server.listen({ host: '127.0.0.1', port: 0 });
});
afterAll(() => server.close());
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'tidemark-cli-'));
  engine = await fakeEngine();
  stop = new AbortController();
  started = [];
  stops = 0;
});
afterEach(() => {
  // Whatever still follows a topic, as only its test's engine has it.
  stop.abort();
  rmSync(directory, { recursive: true });
});

const mainModule: MainModule = {
  startEngine: async (settings, options): Promise<Engine> => {
    started.push({ settings, options });
    return {
      view: engine,
      url: options?.roles?.length === 0 ? undefined : url,
      finish: async () => {},
      stop: async () => {
        stops++;
      },
    };
  },
  setUp: async () => [
    { what: 'topic votes (1 partition)', outcome: 'made' },
    { what: 'bucket vote-latencies-raw', outcome: 'kept' },
  ],
};

function run(words: string[], stdin: string | Buffer | Readable = '') {
  const read = (stream: PassThrough) => {
    const said = { text: '' };
    stream.on('data', (chunk) => {
      said.text += chunk;
    });
    return said;
  };
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const [out, err] = [read(stdout), read(stderr)];
  const terminal: Terminal = {
    stdin: stdin instanceof Readable ? stdin : Readable.from([Buffer.from(stdin)]),
    stdout,
    stderr,
    environment: { TIDEMARK_DATA: directory },
    clock: systemClock,
    stopped: stop.signal,
  };
  const code = runProgram(words, { terminal, loadMain: async () => mainModule });
  return { out, err, done: code.then((code) => ({ code, out: out.text, err: err.text })) };
}

const at = (...words: string[]) => [...words, '--url', url];
const until = async (condition: () => boolean | Promise<boolean>) => {
  for (let tries = 0; !(await condition()); tries++) {
    if (tries > 6_000) throw new Error('it did not come true within 30 s');
    await systemClock.sleep(5);
  }
};

describe('usage', () => {
  test.each([
    [['publsh'], "unknown command 'publsh'; did you mean publish?"],
    [['topics', '--jsn'], "unknown option '--jsn'; did you mean --json?"],
    [['backlog', 'flsh'], "unknown command 'flsh' of backlog; did you mean flush?"],
    [['config', 'prnt'], "unknown command 'prnt'; did you mean print?"],
    [['help', 'publsh'], "unknown command 'publsh'; did you mean publish?"],
    [['config', 'help', 'prnt'], "unknown command 'prnt'; did you mean print?"],
    [['backlog', 'help', 'flsh'], "unknown command 'flsh'; did you mean flush?"],
    [['describe', 'x', '--format', 'mermiad'], 'did you mean mermaid?'],
    [
      ['subscribe', 'votes', '--count', '0'],
      "'0' is invalid. Expected a whole number, at least 1.",
    ],
    [['publish'], "missing required argument 'topic'"],
    [['replay', 'x'], "required option '--from <position>' not specified"],
    [['replay', 'x', '--from', 'soon'], '--from: expected an offset or a time'],
    [['replay', 'x', '--from', '0', '--diff', '--into', 'y'], '--diff writes nothing'],
    [['up', '--port', 'http'], '--port: expected a whole number'],
    [['up', '--roles', ''], '--roles: name some of engine, sinks'],
    [['up', '--roles', 'engin'], 'did you mean engine?'],
    [['topics', '--url', 'nonsense'], '--url: expected an address'],
    [['topics', 'extra'], 'too many arguments'],
    [['compare-kairos', 'localhost:1', 'http://b'], 'localhost:1 is no address'],
    [['compare-kairos', 'http://a', 'http://u:%zz@b'], 'http://…@b is no address'],
    [['compare-kairos', 'http://a', 'http://b', '--from', '5', '--to', '5'], '--to must be later'],
  ])('%j is wrong usage, and says so', async (words, message) => {
    const { code, err, out } = await run(words).done;
    expect(err).toContain(message);
    expect(err).toMatch(/^tidemark: /);
    expect(out).toBe('');
    expect(code).toBe(2);
  });

  test('help and version are answers, no command at all is wrong usage with help', async () => {
    const version = await run(['--version']).done;
    expect(version).toMatchObject({ code: 0, out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
    const help = await run(['publish', '--help']).done;
    expect(help).toMatchObject({ code: 0, out: expect.stringContaining('--file <file>') });
    for (const words of [
      ['help', '--help'],
      ['help', 'help'],
      ['help', 'publish'],
    ])
      expect(await run(words).done).toMatchObject({ code: 0, err: '' });
    const none = await run([]).done;
    expect(none).toMatchObject({ code: 2, err: expect.stringContaining('Usage: tidemark') });
  });

  test.each([
    [['backlog', 'help'], 'tidemark backlog [options] [command]'],
    [['backlog', 'help', 'flush'], 'tidemark backlog flush [options] [sink...]'],
    [['help', 'backlog', 'flush'], 'tidemark backlog flush [options] [sink...]'],
    [['help', 'backlog', 'flush', 'history'], 'tidemark backlog flush [options] [sink...]'],
    [['config', 'help', 'print'], 'tidemark config print [options]'],
  ])('%j is the help of what is named', async (words, usage) => {
    const { code, out, err } = await run(words).done;
    expect(out.slice(0, out.indexOf('\n'))).toContain(`Usage: ${usage}`);
    expect({ code, err }).toEqual({ code: 0, err: '' });
  });

  test('a wrong setting outside of the command line is a failure, not wrong usage', async () => {
    const file = join(directory, 'c.json');
    writeFileSync(file, '{"prot":1}');
    const { code, err } = await run(['config', 'check', '--config', file]).done;
    expect(code).toBe(1);
    expect(err).toContain('did you mean port?');
  });
});

describe('publish', () => {
  test('stores stdin line by line and prints the count', { tags: 'heavy' }, async () => {
    const { code, out } = await run(at('publish', 'plain'), 'a\n{"b":1}\r\n\nlast').done;
    expect({ code, out }).toEqual({ code: 0, out: 'published 3 records to plain\n' });
    const [topic] = await engine.broker.describeTopics(['plain']);
    expect(topic?.partitions[0]?.nextOffset).toBe(3);
  });

  test('reads files of many requests in order', { tags: 'heavy' }, async () => {
    const file = join(directory, 'lines');
    const lines = Array.from({ length: 30_000 }, (_, i) =>
      JSON.stringify({ i, x: 'y'.repeat(90) }),
    );
    writeFileSync(file, lines.join('\n'));
    const { code, out } = await run(at('publish', 'plain', '--file', file, '--json')).done;
    expect({ code, out }).toEqual({ code: 0, out: '{"topic":"plain","count":30000}\n' });
    const reply = await server.inject('/v1/topics/plain/records?limit=10000&from=20000');
    expect(reply.json().records.map((r: { value: { i: number } }) => r.value.i)).toEqual(
      Array.from({ length: 10_000 }, (_, i) => 20_000 + i),
    );
  });

  test('a trickle is stored while it comes', async () => {
    const stdin = new PassThrough();
    const { done } = run(at('publish', 'plain'), stdin);
    stdin.write('one\n');
    await engine.broker.read({ topic: 'plain', partition: 0, from: 0, maxWaitMs: 5_000 });
    const { records } = (await server.inject('/v1/topics/plain/records')).json();
    expect(records).toMatchObject([{ value: 'one' }]);
    stdin.end('two\n');
    expect((await done).out).toBe('published 2 records to plain\n');
  });

  test('bad lines are named by their number in the whole input, with what was stored before', async () => {
    const good = `${JSON.stringify({ validator: 'v', x: 'y'.repeat(1_000) })}\n`;
    const input = good.repeat(1_500);
    const stdin = Readable.from([Buffer.from(input), Buffer.from(`${good}nonsense\n`)]);
    const { code, err } = await run(at('publish', 'votes'), stdin).done;
    expect(code).toBe(1);
    expect(err).toContain('line 1502: not JSON');
    expect(err).toContain('1500 records were published; none from line 1501 on');
  });

  test('an unknown topic, a missing file and an engine that is gone are said', async () => {
    expect(await run(at('publish', 'plian'), 'x\n').done).toMatchObject({
      code: 2,
      err: expect.stringContaining('did you mean plain?'),
    });
    expect(await run(at('publish', 'plain', '--file', '/nope')).done).toMatchObject({
      code: 1,
      err: expect.stringContaining('/nope'),
    });
    const gone = await run(['publish', 'plain', '--url', 'http://127.0.0.1:1'], 'x\n').done;
    expect(gone).toMatchObject({ code: 1, err: expect.stringContaining('ENGINE_UNREACHABLE') });
  });
});

describe('subscribe', () => {
  test('prints values as NDJSON from the beginning and ends when counted out', async () => {
    engine.broker.put('plain', 0, '{"n":12345678901234567890}', 'text', null);
    const words = at('subscribe', 'plain', '--from', 'beginning', '--count', '3');
    const { code, out } = await run(words).done;
    expect(code).toBe(0);
    expect(out).toBe('{"n":12345678901234567890}\n"text"\nnull\n');
  });

  test('follows what comes, prints metadata on demand, ends cleanly when stopped', async () => {
    const { out, done } = run(at('subscribe', 'plain', '--with-metadata'));
    await until(() => engine.broker.waiting === 1);
    engine.broker.put('plain', 0, '1');
    await until(() => out.text !== '');
    expect(JSON.parse(out.text)).toMatchObject({ partition: 0, offset: 0, value: 1 });
    stop.abort();
    expect((await done).code).toBe(0);
  });

  test('goes on after the engine was restarted, without loss or repeat', {
    tags: 'heavy',
    timeout: 15_000,
  }, async () => {
    const first = await createServer(engine);
    const address = await first.listen({ host: '127.0.0.1', port: 0 });
    engine.broker.put('plain', 0, '1');
    const words = ['subscribe', 'plain', '--from', 'beginning', '--count', '3', '--url', address];
    const { out, done } = run(words);
    await until(() => out.text === '1\n');
    await first.close();
    engine.broker.put('plain', 0, '2');
    const second = await createServer(engine);
    await second.listen({ host: '127.0.0.1', port: Number(new URL(address).port) });
    engine.broker.put('plain', 0, '3');
    expect(await done).toMatchObject({ code: 0, out: '1\n2\n3\n' });
    await second.close();
  });

  test('refusals end it', async () => {
    expect(await run(at('subscribe', 'nope')).done).toMatchObject({ code: 2 });
    expect(await run(at('subscribe', 'plain', '--from', 'soon')).done).toMatchObject({ code: 1 });
  });
});

describe('replay', () => {
  const finish = (patch: object) => {
    Object.assign(engine.replays, {
      get: (id: string) => ({ ...jobOf(id), state: 'done', endedAt: 1, ...patch }),
    });
  };
  const jobOf = (id: string) => engine.replays.list().find((job) => job.id === id);

  test('starts the job as asked and waits for its end', { tags: 'heavy' }, async () => {
    finish({ progress: { done: 10, total: 10 } });
    const words = ['replay', 'vote-latency', '--from', '2026-01-01', '--to', '99', '--into', 'a,b'];
    const { code, out } = await run(at(...words, '--into', 'c')).done;
    expect({ code, out }).toEqual({
      code: 0,
      out: 'replayed 10 records of vote-latency into a, b, c\n',
    });
    expect(engine.asked).toEqual([
      {
        name: 'vote-latency',
        from: { time: Date.UTC(2026, 0, 1) },
        to: { offset: 99 },
        into: ['a', 'b', 'c'],
      },
    ]);
  });

  test('a diff that finds differences prints them and exits 1', { tags: 'heavy' }, async () => {
    const words = at('replay', 'vote-latency', '--from', 'beginning', '--diff');
    const totals = { changed: 2, onlyInNew: 0, onlyInStored: 0, averagesOnly: 0 };
    const equal = { compared: 12, different: 0, seriesCompared: 3, seriesEqual: 3, series: [] };
    finish({ diff: { ...totals, ...equal, changed: 0, examples: [] } });
    expect(await run(words).done).toMatchObject({ code: 0, out: 'compared 12, different 0\n' });
    const fields = { count: { changed: 2, maxAbs: 3, maxRel: 0.25 } };
    const windows = [{ start: 0, what: 'changed', fields: {} }];
    const series = [{ topic: 'votes.rollup.5m', key: 'x', equal: 4, ...totals, fields, windows }];
    const different = { compared: 12, different: 2, seriesCompared: 3, seriesEqual: 2, series };
    finish({ diff: { ...totals, equal: 10, ...different, examples: [] } });
    expect(await run(words).done).toMatchObject({
      code: 1,
      out: 'compared 12, different 2\n',
      err: 'votes.rollup.5m x: 2 of 6 changed; count by up to 3 (25 %); first 1970-01-01T00:00:00.000Z\n',
    });
    expect(engine.asked[0]).toMatchObject({ from: { offset: 0 }, diff: true });
  });

  test('a job that fails, an unknown name and a stop are failures', { tags: 'heavy' }, async () => {
    finish({ state: 'failed', error: { code: 'SINK_UNREACHABLE', message: 'it is away' } });
    const words = at('replay', 'vote-latency', '--from', '0');
    expect(await run(words).done).toMatchObject({
      code: 1,
      err: 'tidemark: the replay failed: it is away [SINK_UNREACHABLE]\n',
    });
    expect(await run(at('replay', 'nope', '--from', '0')).done).toMatchObject({ code: 2 });
    Object.assign(engine.replays, { get: (id: string) => jobOf(id) });
    const { done } = run(words);
    await until(() => engine.replays.list().length === 2);
    stop.abort();
    expect(await done).toMatchObject({ code: 1, err: expect.stringContaining('cancelled') });
  });

  test('a dry run prints the offsets it would read, by offset and by time, and starts nothing', async () => {
    await engine.broker.append(
      'votes',
      [10, 20, 30, 40].map((timestamp) => ({ key: null, value: '{}', timestamp, partition: 0 })),
    );
    const words = ['replay', 'vote-latency', '--dry-run', '--json'];
    const byOffset = await run(at(...words, '--from', '1', '--to', '3')).done;
    expect(JSON.parse(byOffset.out)).toEqual({
      name: 'vote-latency',
      records: 2,
      partitions: [
        { topic: 'votes', partition: 0, from: 1, to: 3 },
        { topic: 'votes', partition: 1, from: 0, to: 0 },
      ],
    });
    const byTime = await run(at(...words, '--from', '1970-01-01T00:00:00.015Z')).done;
    expect(JSON.parse(byTime.out).records).toBe(3);
    const text = await run(at('replay', 'kairos.vote_latency', '--dry-run', '--from', '0')).done;
    expect(text.out).toMatch(/^topic +partition +from +to +records\nvotes/);
    expect(text.out).toContain('would replay 4 records\n');
    expect(engine.asked).toEqual([]);
  });
});

describe('what runs', () => {
  test('topics, lag and backlog are tables for people and JSON for scripts', async () => {
    expect((await run(at('topics')).done).out).toBe(
      'topic  partition  first  next  watermark\n' +
        'plain          0      0     0  -\n' +
        'votes          0      0     0  2023-11-14T22:13:20.000Z\n' +
        'votes          1      0     0  -\n',
    );
    expect(
      JSON.parse((await run(at('topics', '--json', '--internal')).done).out).topics,
    ).toHaveLength(3);
    expect((await run(at('lag')).done).out).toMatch(
      /topology +vote-latency +votes +0 +10 +15 +5\n/,
    );
    const { lag } = JSON.parse((await run(at('lag', '--json')).done).out);
    expect(lag).toHaveLength(3);
    expect(lag[1]).toMatchObject({ kind: 'sink', name: 'influx.vote-latencies-raw', lag: 7 });
    expect((await run(at('backlog')).done).out).toMatch(/kairos.vote_latency +votes +7 +700 +2 /);
  });

  test('backlogs are flushed and cleared, all or those named', async () => {
    expect((await run(at('backlog', 'flush')).done).out).toBe(
      'influx.vote-latencies-raw: tried\nkairos.vote_latency: tried\n',
    );
    expect(
      JSON.parse((await run(at('backlog', 'clear', 'kairos.vote_latency', '--json')).done).out),
    ).toEqual({
      sinks: [{ sink: 'kairos.vote_latency', dropped: 7 }],
    });
    expect(await run(at('backlog', 'clear', 'kairos')).done).toMatchObject({
      code: 2,
      err: expect.stringContaining('did you mean kairos.vote_latency?'),
    });
    Object.assign(engine, { flushBacklog: async () => false });
    const nothing = await run(at('backlog', 'flush')).done;
    expect(nothing).toMatchObject({ code: 0 });
    expect(nothing.out).toMatch(/nothing was waiting/);
  });
});

describe('the engine', () => {
  test('is started without roles for one command when none runs, and stopped after it', async () => {
    const { code, out } = await run(['publish', 'plain', '--json'], 'x\n').done;
    expect({ code, out }).toEqual({ code: 0, out: '{"topic":"plain","count":1}\n' });
    expect(started).toMatchObject([
      { options: { roles: [] }, settings: { data: directory, port: 0 } },
    ]);
    expect(stops).toBe(1);
    const failed = await run(['publish', 'nope'], 'x\n').done;
    expect(failed.code).toBe(2);
    expect(stops).toBe(2);
  });

  test('is found on the port when that is given', async () => {
    const { code } = await run(['topics', '--port', new URL(url).port]).done;
    expect(code).toBe(0);
    expect(started).toEqual([]);
  });

  test('is found by its data directory', { tags: 'heavy' }, async () => {
    const { openEmbeddedBroker } = await import('../broker/index.ts');
    const { silentLogger } = await import('../runtime/index.ts');
    const broker = await openEmbeddedBroker({
      directory,
      clock: systemClock,
      logger: silentLogger,
    });
    const { done } = run(['topics', '--json']);
    await systemClock.sleep(150);
    broker.announcePort(Number(new URL(url).port));
    const { out } = await done;
    await broker.close();
    expect(JSON.parse(out).topics).toHaveLength(2);
    expect(started).toEqual([]);
  });

  test('runs until it is told to stop', async () => {
    const { out, done } = run(['up', '--port', '0', '--topology', 'a', '--topology', './b.ts']);
    await until(() => out.text !== '');
    expect(out.text).toBe(`listening on ${url}\n`);
    expect(stops).toBe(0);
    stop.abort();
    expect((await done).code).toBe(0);
    expect(stops).toBe(1);
    expect(started[0]?.options).toEqual({ topologies: ['a', './b.ts'] });
  });

  test('listening to others without tokens is warned of', async () => {
    stop.abort();
    const { err } = await run(['up', '--host', '0.0.0.0']).done;
    expect(err).toContain('set TIDEMARK_TOKENS');
  });

  test('setup says what it made and what was there', async () => {
    expect((await run(['setup']).done).out).toBe(
      'made  topic votes (1 partition)\nkept  bucket vote-latencies-raw\n',
    );
  });
});

describe('config', () => {
  test('print shows every setting with its origin, secrets hidden', async () => {
    const file = join(directory, 'c.json');
    writeFileSync(file, '{"influx":{"token":"hush"},"tokens":["hush2"],"port":9}');
    const { out } = await run(['config', 'print', '--config', file]).done;
    expect(out).toMatch(new RegExp(`^port +9 +file ${file}$`, 'm'));
    expect(out).toMatch(/^influx.token +\[secret\] +file/m);
    expect(out).toMatch(/^tokens +\[secret\] +file/m);
    expect(out).toMatch(/^data +.* +environment TIDEMARK_DATA$/m);
    expect(out).toMatch(/^kafka.brokers +- +default$/m);
    expect(out).not.toContain('hush');
    const json = JSON.parse((await run(['config', 'print', '--config', file, '--json']).done).out);
    expect(json['influx.token']).toEqual({ value: '[secret]', origin: `file ${file}` });
    expect(json.port.value).toBe(9);
  });

  test('check counts what is given', async () => {
    expect(await run(['config', 'check']).done).toMatchObject({
      code: 0,
      out: expect.stringMatching(
        /^settings are right: 1 given, \d+ by default\nalerts are right: \d+ rules; channels: log\n$/,
      ),
    });
  });
});

test('config check reads the alerts file, and says what is wrong where', async () => {
  const alerts = join(directory, 'alerts.json');
  writeFileSync(alerts, JSON.stringify({ rules: { cpu: { warnin: 75 } } }));
  const file = join(directory, 'with-alerts.json');
  writeFileSync(file, JSON.stringify({ alerts: { file: alerts } }));
  const { code, err } = await run(['config', 'check', '--config', file]).done;
  expect(code).not.toBe(0);
  expect(err).toMatch(/rules\.cpu\.warnin in .*alerts\.json: .*did you mean warning\?/);
});

describe('alerts', () => {
  test('are a table for people and JSON for scripts', { tags: 'heavy' }, async () => {
    const { out } = await run(['alerts']).done;
    expect(out).toMatch(/a1 +firing +warning .*cpu.usage is 83.1/);
    const json = JSON.parse((await run(['alerts', '--json']).done).out);
    expect(json.firing[0].id).toBe('a1');
    expect((await run(['alerts', 'history']).done).out).toContain('a1');
    expect((await run(['alerts', 'rules']).done).code).toBe(0);
  });

  test('are acknowledged and silenced', { tags: 'heavy' }, async () => {
    const acknowledged = await run(['alerts', 'ack', 'a1', '--by', 'ada', '--json']).done;
    expect(acknowledged).toMatchObject({ code: 0 });
    expect(JSON.parse(acknowledged.out).acknowledged.by).toBe('ada');
    const made = await run(['alerts', 'silence', 'host=web-*', 'rule=cpu', '--for', '2h']).done;
    const id = /^silence (\S+) until/.exec(made.out)?.[1] as string;
    expect((await run(['alerts', 'silences']).done).out).toMatch(/host=web-\* rule=cpu/);
    expect((await run(['alerts', 'unsilence', id]).done).code).toBe(0);
    expect((await run(['alerts', 'ack', 'nope']).done).code).toBe(1);
    const wrong = await run(['alerts', 'silence', 'web-1']).done;
    expect([wrong.code, wrong.err]).toEqual([2, expect.stringMatching(/label=value/)]);
  });
});

describe('simulated votes', () => {
  const values = async () => {
    const pages = await Promise.all(
      [0, 1].map((p) => server.inject(`/v1/topics/votes/records?partition=${p}&limit=10000`)),
    );
    return pages.flatMap(
      (page) => page.json().records as { key: string; value: { validator: string } }[],
    );
  };

  test('are published keyed by validator, as many as asked for', { tags: 'heavy' }, async () => {
    const words = at('simulate', 'votes', '--rate', '0', '--seed', '7', '--count', '6000');
    const { code, out } = await run([...words, '--validators', '20']).done;
    expect({ code, out }).toEqual({ code: 0, out: 'published 6000 votes\n' });
    const records = await values();
    expect(records).toHaveLength(6_000);
    expect(new Set(records.map(({ key }) => key)).size).toBe(20);
    for (const { key, value } of records.slice(0, 100)) expect(key).toBe(value.validator);
  });

  test('keep their rate until stopped', { tags: 'heavy' }, async () => {
    const beganMs = systemClock.now();
    const { done } = run(at('simulate', 'votes', '--rate', '200'));
    await until(async () => (await values()).length >= 150);
    stop.abort();
    const { code } = await done;
    expect(code).toBe(0);
    // A second's worth more at most, however long a busy machine took for it.
    const seconds = (systemClock.now() - beganMs) / 1_000;
    expect((await values()).length).toBeLessThanOrEqual(200 * (seconds + 1));
  });
});
