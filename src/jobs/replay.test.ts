import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openTemporaryBroker, type TemporaryBroker } from '../../test/support/embedded-broker.ts';
import { hours, minutes } from '../model/index.ts';
import { silentLogger, systemClock } from '../runtime/index.ts';
import {
  type Aggregate,
  enrich,
  jsonCodec,
  map,
  type SinkPort,
  type Topology,
  TopologyRunner,
  topology,
  tumbling,
  window,
} from '../stream/index.ts';
import { Jobs, type ReplayJob, type ReplayRequest, Replays, replayKind } from './index.ts';

interface Tick {
  readonly k: string;
  readonly t: number;
}

const ticks: Aggregate<{ n: number }> = {
  name: 'ticks',
  create: () => ({ n: 0 }),
  adder: () => (state) => {
    state.n++;
  },
  merge: (into, from) => {
    into.n += from.n;
  },
  encode: (state) => Buffer.from(String(state.n)),
  decode: (bytes) => ({ n: Number(bytes.toString()) }),
};

const counting = (graceMs: number): Topology =>
  topology('counting', ({ source }) => {
    source('ticks', jsonCodec<Tick>({ timestamp: 't' }))
      .pipe(
        'minutes',
        window({ by: ['k'], windows: tumbling({ sizeMs: 60_000, graceMs }), aggregate: ticks }),
      )
      .pipe(
        'row',
        map((w) => ({
          window: { start: w.start, end: w.end },
          k: w.key[0],
          n: w.state?.n ?? 0,
          revision: 0,
        })),
      )
      .to('counts', { key: (row) => row.k ?? null, value: (row) => JSON.stringify(row) });
  });

const feed = topology('counts-feed', ({ source }) => {
  source('counts', jsonCodec<{ k: string; n: number; window: { start: number } }>()).into(
    'shelf',
    (row) => [`${row.k}@${row.window.start}=${row.n}`],
  );
});

let open: TemporaryBroker;
let shelf: string[];

beforeEach(async () => {
  open = await openTemporaryBroker();
  shelf = [];
});

const port: SinkPort = {
  write: async (points) => {
    shelf.push(...(points as string[]));
    return [];
  },
};

/** Four hours of ticks, three a minute, one in ten of them forty seconds late. */
async function runLive(): Promise<void> {
  const { broker } = open;
  const runner = new TopologyRunner({
    topology: counting(60_000),
    broker,
    clock: systemClock,
    logger: silentLogger,
    policy: { intervalMs: 20 },
  });
  await runner.start();
  const records = Array.from({ length: 720 }, (_, i) => {
    const t = hours(1_000) + i * 20_000 - (i % 10 === 9 ? 40_000 : 0);
    return { key: 'a', value: JSON.stringify({ k: 'a', t }) };
  });
  // The log's time passes as event time does, so that a replay from the middle begins its warm-up there.
  for (let at = 0; at < records.length; at += 60) {
    await broker.append('ticks', records.slice(at, at + 60));
    await open.clock.advance(minutes(20));
  }
  await runner.settled();
  await runner.stop();
}

let folder: string;
let opened: Jobs[] = [];
let lives = 0;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemark-replays-'));
  opened = [];
});

afterEach(async () => {
  for (const each of opened) await each.close();
  await rm(folder, { recursive: true, force: true });
});

function jobs(running: Topology, liveLag = () => 0, name = `jobs-${lives++}`): Replays {
  const parts = {
    broker: open.broker,
    clock: systemClock,
    topologies: [running],
    feeds: [feed],
    sinks: new Map([['shelf', port]]),
    liveLag,
  };
  const all = Jobs.open({
    directory: join(folder, name),
    kinds: [replayKind(parts)],
    clock: systemClock,
    logger: silentLogger,
  });
  opened.push(all);
  all.resumeAll();
  return new Replays(all);
}

async function ended(replays: Replays, request: ReplayRequest): Promise<ReplayJob> {
  const { id } = await replays.start(request);
  for (;;) {
    const job = replays.get(id) as ReplayJob;
    if (job.state !== 'running') return job;
    await systemClock.sleep(5);
  }
}

describe('a replay', () => {
  it('reads everything again, counts it, and appends nothing', async () => {
    await runLive();
    const before = await open.broker.describeTopics(['counts']);
    const job = await ended(jobs(counting(60_000)), { name: 'counting', from: { offset: 0 } });
    expect(job).toMatchObject({ state: 'done', progress: { done: 720, total: 720 }, error: null });
    expect(await open.broker.describeTopics(['counts'])).toEqual(before);
  });

  it('finds no difference where nothing was changed', { tags: 'heavy' }, async () => {
    await runLive();
    const job = await ended(jobs(counting(60_000)), {
      name: 'counting',
      from: { offset: 0 },
      diff: true,
    });
    expect(job.diff).toMatchObject({ different: 0 });
    expect(job.diff?.compared).toBeGreaterThan(200);
  });

  it('finds what a shorter grace would change, and names it', async () => {
    await runLive();
    const job = await ended(jobs(counting(0)), {
      name: 'counting',
      from: { offset: 0 },
      diff: true,
    });
    expect(job.diff?.different).toBeGreaterThan(10);
    expect(job.diff?.different).toBeLessThan(job.diff?.compared as number);
    expect(job.diff?.examples[0]).toMatch(/^counts a 1970-.*: changed$/);
    // The row that only tells of late ticks has no count, and is the window's last.
    const [series] = job.diff?.series ?? [];
    const changed = job.diff?.changed;
    expect(series).toMatchObject({ key: 'a', changed, fields: { n: { changed, maxRel: 1 } } });
    expect(series?.windows[0]).toMatchObject({ what: 'changed', fields: { n: { new: 0 } } });
  });

  it('compares records that are about no window byte by byte', async () => {
    const shout = (mark: string) =>
      topology('shouting', ({ source }) => {
        source('ticks', jsonCodec<Tick>({ timestamp: 't' })).to('shouts', {
          key: (row) => row.k,
          value: (row) => (row.t % 60_000 === 0 ? mark : `${row.t}`),
        });
      });
    const { broker } = open;
    const live = shout('!');
    const runner = new TopologyRunner({
      topology: live,
      broker,
      clock: systemClock,
      logger: silentLogger,
      policy: { intervalMs: 20 },
    });
    await runner.start();
    await broker.append(
      'ticks',
      Array.from({ length: 9 }, (_, i) => ({
        key: 'a',
        value: JSON.stringify({ k: 'a', t: i * 20_000 }),
      })),
    );
    await runner.settled();
    await runner.stop();
    const diff = async (topology: Topology) =>
      (await ended(jobs(topology), { name: 'shouting', from: { offset: 0 }, diff: true })).diff;
    expect(await diff(live)).toMatchObject({ compared: 9, different: 0, equal: 9, series: [] });
    expect(await diff(shout('?'))).toMatchObject({
      compared: 12,
      different: 6,
      onlyInNew: 3,
      onlyInStored: 3,
      examples: [
        ...Array(3).fill('shouts a: only in new'),
        ...Array(3).fill('shouts a: only in stored'),
      ],
    });
  });

  it('that begins in the middle gives only windows that it saw whole', async () => {
    await runLive();
    const job = await ended(jobs(counting(60_000)), {
      name: 'counting',
      from: { offset: 400 },
      diff: true,
    });
    expect(job.diff).toMatchObject({ different: 0 });
    expect(job.diff?.compared).toBeGreaterThan(50);
  });

  it('writes what a topology derives into the sinks it is told', async () => {
    await runLive();
    const job = await ended(jobs(counting(60_000)), {
      name: 'counting',
      from: { offset: 0 },
      into: ['counts-feed'],
    });
    expect(job).toMatchObject({ state: 'done', into: ['counts-feed'] });
    expect(new Set(shelf).size).toBe(shelf.length);
    expect(shelf.length).toBeGreaterThan(200);
  });

  it('of a feed writes its topic into its sink again', async () => {
    await runLive();
    const job = await ended(jobs(counting(60_000)), { name: 'counts-feed', from: { offset: 0 } });
    expect(job.state).toBe('done');
    expect(shelf.length).toBe(job.progress.total);
  });

  it('waits for what an enriching step asks', async () => {
    await runLive();
    const enriched = topology('enriched', ({ source }) => {
      source('ticks', jsonCodec<Tick>({ timestamp: 't' }))
        .pipe(
          'ask',
          enrich({ concurrency: 4, load: async (row) => ({ text: `${row.k}${row.t}` }) }),
        )
        .into('shelf', (row) => [row.text]);
    });
    const job = await ended(jobs(enriched), { name: 'enriched', from: { offset: 0 } });
    expect(job).toMatchObject({ state: 'done', error: null });
    expect(shelf).toHaveLength(720);
  });

  it('waits while live is behind, and can be cancelled then', { tags: 'heavy' }, async () => {
    await runLive();
    const replays = jobs(counting(60_000), () => 1_000_000);
    const { id } = await replays.start({ name: 'counting', from: { offset: 0 } });
    await systemClock.sleep(60);
    expect(replays.get(id)).toMatchObject({ state: 'running' });
    expect(await replays.cancel(id)).toMatchObject({ state: 'cancelled' });
    await systemClock.sleep(60);
    expect(replays.get(id)?.progress.done).toBeLessThanOrEqual(720);
    expect(replays.get(id)?.state).toBe('cancelled');
  });

  it('goes on in the next process, from its beginning, to the end that was asked for', {
    tags: 'heavy',
  }, async () => {
    await runLive();
    const first = jobs(counting(60_000), () => 1_000_000, 'twice');
    const { id } = await first.start({
      name: 'counting',
      from: { offset: 0 },
      to: { offset: 400 },
      into: ['counts-feed'],
    });
    await systemClock.sleep(30);
    await opened[0]?.close();
    expect(first.get(id)).toMatchObject({ state: 'running' });
    const second = jobs(counting(60_000), () => 0, 'twice');
    while (second.get(id)?.state === 'running') await systemClock.sleep(5);
    expect(second.get(id)).toMatchObject({ state: 'done', progress: { done: 400, total: 400 } });
    expect(shelf.length).toBeGreaterThan(50);
  });

  it.each<[string, ReplayRequest, RegExp]>([
    ['an unknown name', { name: 'countin', from: { offset: 0 } }, /did you mean "counting"/],
    [
      'a sink that does not take it',
      { name: 'counting', from: { offset: 0 }, into: ['nowhere'] },
      /counts-feed/,
    ],
    [
      'an end before its beginning',
      { name: 'counting', from: { offset: 300 }, to: { offset: 2 } },
      /swap from and to/,
    ],
  ])('is refused for %s, with the cure', async (_, request, message) => {
    await runLive();
    await expect(jobs(counting(60_000)).start(request)).rejects.toThrow(message);
  });
});
