import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import {
  openTemporaryBroker,
  type TemporaryBroker,
} from '../../../test/support/embedded-broker.ts';
import { hours, minutes } from '../../model/index.ts';
import { silentLogger, systemClock } from '../../runtime/index.ts';
import { dedup, jsonCodec, type SinkPort, TopologyRunner, topology } from '../../stream/index.ts';
import { type JobReport, Jobs } from '../index.ts';
import type { VerifiedSink } from './contract.ts';
import { type VerifyRequest, type VerifyResult, verifyKind } from './verify.ts';

interface Tick {
  readonly k: string;
  readonly t: number;
  readonly v: number;
}

const START_MS = hours(472_000);

const feed = topology('shelf-feed', ({ source }) => {
  source('ticks', jsonCodec<Tick>({ timestamp: 't' }), { rejects: 'skip' })
    .pipe('dedup', dedup({ by: ['k', 't', 'v'], withinMs: minutes(10) }))
    .into('shelf', (tick) => [tick]);
});

let open: TemporaryBroker;
let shelf: Map<string, Tick>;
let keptSinceMs: number;
let folder: string;
let jobs: Jobs;

const port: SinkPort = {
  write: async (points) => {
    for (const tick of points as readonly Tick[]) shelf.set(`${tick.k} ${tick.t}`, tick);
    return [];
  },
};

const sink: VerifiedSink<Tick> = {
  name: 'shelf-feed',
  feeds: [{ topology: feed, group: feed.group(0) }],
  port,
  points: {
    name: () => 'tick',
    timeMs: ({ t }) => t,
    identity: ({ k, t }) => `${k} ${t}`,
    value: ({ v }) => String(v),
    merge: (_, newer) => newer,
    isRefused: ({ v }) => v < 0,
  },
  async *stored({ fromMs, toMs }, names) {
    expect([...names]).toEqual(['tick']);
    yield [...shelf.values()].filter(({ t }) => t >= fromMs && t < toMs);
  },
  retention: async () => {
    const sinceMs = keptSinceMs;
    return { keeps: ({ t }) => t >= sinceMs };
  },
};

beforeEach(async () => {
  open = await openTemporaryBroker();
  await open.broker.createTopics([{ name: 'ticks', partitions: 2 }]);
  shelf = new Map();
  keptSinceMs = Number.NEGATIVE_INFINITY;
  folder = await mkdtemp(join(tmpdir(), 'tidemark-verify-'));
  jobs = Jobs.open({
    directory: folder,
    kinds: [verifyKind({ broker: open.broker, sinks: () => [sink] })],
    clock: systemClock,
    logger: silentLogger,
  });
});

afterEach(async () => {
  await jobs.close();
  await rm(folder, { recursive: true, force: true });
});

const append = (ticks: readonly Tick[]) =>
  open.broker.append(
    'ticks',
    ticks.map((tick) => ({ key: tick.k, value: JSON.stringify(tick) })),
  );

/** The feed as it lives, up to the end of the log. */
async function store(): Promise<void> {
  const runner = new TopologyRunner({
    topology: feed,
    broker: open.broker,
    clock: systemClock,
    logger: silentLogger,
    policy: { intervalMs: 20 },
    sinks: new Map([['shelf', port]]),
  });
  await runner.start();
  await runner.settled();
  await runner.stop();
}

/** Three hours, a tick every ten seconds of two keys; one in ten comes twice, later one in twenty an hour late. */
async function threeHours(): Promise<readonly Tick[]> {
  const ticks = Array.from({ length: 1_080 }, (_, i) => ({
    k: i % 2 ? 'a' : 'b',
    t: START_MS + i * 10_000 - (i % 20 === 19 && i > 360 ? hours(1) - 1 : 0),
    v: i,
  }));
  await append(ticks.flatMap((tick) => (tick.v % 10 === 3 ? [tick, tick] : [tick])));
  await store();
  expect(shelf.size).toBe(ticks.length);
  return ticks;
}

type Reported = Omit<JobReport, 'results'> & {
  readonly results: readonly { readonly unit: string; readonly result: VerifyResult }[];
};

async function verify(request: Partial<VerifyRequest> = {}): Promise<Reported> {
  const { id } = await jobs.submit('verify', { sink: 'shelf-feed', ...request });
  await jobs.settled(id);
  const report = jobs.report(id) as unknown as Reported;
  expect([report.state, report.error]).toEqual(['done', null]);
  return report;
}

const total = ({ results }: Reported, name: keyof VerifyResult): number =>
  results.reduce((sum, { result }) => sum + (result[name] as number), 0);

it('hour by hour, what was stored equals what the log says, late and repeated records included', {
  tags: 'heavy',
}, async () => {
  await threeHours();
  const report = await verify();
  expect(report.results.map(({ unit }) => unit)).toEqual(
    [0, 1, 2].map((h) => new Date(START_MS + hours(h)).toISOString().replace(':00.000Z', 'Z')),
  );
  for (const { result } of report.results) {
    expect(result.storedHash).toBe(result.expectedHash);
    expect(result.stored).toBe(result.expected);
  }
  expect([total(report, 'expected'), report.noteCount]).toEqual([1_080, 0]);
});

it('a point lost, one changed and one strange are found, each in its hour, and nothing is written', {
  tags: 'heavy',
}, async () => {
  const ticks = await threeHours();
  const [lost, changed] = [ticks[4], ticks[500]] as [Tick, Tick];
  shelf.delete(`${lost.k} ${lost.t}`);
  shelf.set(`${changed.k} ${changed.t}`, { ...changed, v: -5 });
  const strange = { k: 'x', t: START_MS + hours(2), v: 1 };
  shelf.set('strange', strange);
  const report = await verify();
  expect(report.results.map(({ result: r }) => [r.missing, r.different, r.extra])).toEqual([
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ]);
  expect(report.notes).toEqual([
    `missing: ${lost.k} ${lost.t} 4`,
    `different: ${changed.k} ${changed.t} -5, expected 500`,
    `extra: x ${strange.t} 1`,
  ]);
  expect(shelf.size).toBe(1_080);
});

it('repair writes just what is missing or different, and leaves what is strange', {
  tags: 'heavy',
}, async () => {
  const ticks = await threeHours();
  for (const { k, t } of ticks.slice(0, 100)) shelf.delete(`${k} ${t}`);
  const changed = ticks[500] as Tick;
  shelf.set(`${changed.k} ${changed.t}`, { ...changed, v: -5 });
  shelf.set('strange', { k: 'x', t: START_MS, v: 1 });
  const report = await verify({ repair: true });
  expect([total(report, 'repaired'), total(report, 'missing'), total(report, 'extra')]).toEqual([
    101, 0, 1,
  ]);
  shelf.delete('strange');
  expect([...shelf.values()].sort((a, b) => a.v - b.v)).toEqual(ticks);
  expect((await verify()).noteCount).toBe(0);
});

it('only the range asked for is compared, and a range without records has no strange points', {
  tags: 'heavy',
}, async () => {
  await threeHours();
  shelf.clear();
  const from = START_MS + minutes(30);
  const report = await verify({ from, to: from + hours(1) });
  expect([total(report, 'missing'), total(report, 'expected')]).toEqual([
    total(report, 'expected'),
    total(report, 'missing'),
  ]);
  expect(report.results.map(({ result }) => [result.fromMs, result.toMs])).toEqual([
    [from, START_MS + hours(1)],
    [START_MS + hours(1), from + hours(1)],
  ]);
  const empty = await verify({ from: START_MS + hours(50), to: START_MS + hours(60) });
  expect(empty.results.map(({ result }) => result.expected)).toEqual([0]);
});

it('what the sink has yet to write, or wrote meanwhile, is no difference', {
  tags: 'heavy',
}, async () => {
  const ticks = await threeHours();
  const revised = { ...(ticks[7] as Tick), v: 9_999 };
  const [written, waiting] = [
    { k: 'a', t: START_MS + 77, v: 2_000 },
    { k: 'a', t: START_MS + 78, v: 2_001 },
  ];
  await append([revised, written, waiting]);
  // Two of three reached the shelf; the cursor tells of none.
  await port.write([revised, written], new AbortController().signal);
  const report = await verify();
  expect([report.noteCount, total(report, 'waiting')]).toEqual([0, 2]);
  expect(total(report, 'expected')).toBe(1_080);
});

it('what the database no longer keeps, or could never take, is left out and counted', {
  tags: 'heavy',
}, async () => {
  await threeHours();
  await append([{ k: 'a', t: START_MS, v: -1 }]);
  await store();
  shelf.delete(`a ${START_MS}`);
  keptSinceMs = START_MS + hours(1);
  for (const { k, t } of [...shelf.values()]) if (t < keptSinceMs) shelf.delete(`${k} ${t}`);
  const report = await verify();
  expect(report.noteCount).toBe(0);
  expect(total(report, 'expired') + total(report, 'expected')).toBe(1_081);
  keptSinceMs = Number.NEGATIVE_INFINITY;
  expect(total(await verify(), 'refused')).toBe(1);
});

it.each([
  [{ sink: 'shelf' }, 'UNKNOWN_SINK', /did you mean "shelf-feed"/],
  [{ sink: 'shelf-feed', from: 5, to: 5 }, 'RANGE_INVALID', /from must lie before to/],
  [{ sink: 'shelf-feed', from: '2026' }, 'FIELD_INVALID', /input\.from/],
  [{ sink: 'shelf-feed', mend: true }, 'FIELD_INVALID', /input/],
])('%j is refused', async (asked, code, message) => {
  await expect(jobs.submit('verify', asked as never)).rejects.toMatchObject({
    code,
    message: expect.stringMatching(message),
  });
});
