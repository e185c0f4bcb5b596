/** A one-line change of a topology shows in `replay --diff` where it matters, and nowhere else. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, test } from 'vitest';
import type { ReplayJob } from '../../src/api/index.ts';
import { openEmbeddedBroker } from '../../src/broker/index.ts';
import { simulateVotes } from '../../src/collect/index.ts';
import { silentLogger, systemClock } from '../../src/runtime/index.ts';
import { CommandProcess } from '../support/command-process.ts';
import { temporaryDirectory } from '../support/embedded-broker.ts';
import { EngineProcess, getJson, settled } from '../support/engine-process.ts';

const project = fileURLToPath(new URL('../../', import.meta.url));
const widths = { '5m': 300_000, '1h': 3_600_000, '1d': 86_400_000 };

const votes = [
  ...simulateVotes({
    seed: 11,
    startMs: 1_757_500_000_000,
    validators: 40,
    ratePerSecond: 8,
    count: 60_000,
    lateShare: 0.003,
  }),
];

/** vote-latency as it ships, one line of it changed; a file anywhere, as a user's would be. */
async function changedTopology(line: string, by: string): Promise<string> {
  const source = await readFile(join(project, 'topologies/vote-latency/vote-latency.ts'), 'utf8');
  expect(source.split(line)).toHaveLength(2);
  const text = source
    .replace(line, by)
    .replaceAll("'../../src/", `'${project}src/`)
    .replaceAll("'./", `'${project}topologies/vote-latency/`)
    // Of the two that the file exports, the one that would run.
    .replace('export function', 'function');
  const file = join(await temporaryDirectory(), 'changed.ts');
  await writeFile(file, text);
  return file;
}

/**
 * Windows for which a vote came so long after their end, in the log's own order: worked out vote by vote, with
 * nothing of the product. A vote that its five minutes no longer take is missing in all that is made of them; a
 * repetition, and a vote that was late anyway, is told to the wider windows as long as those are open.
 */
function windowsBetween(fromMs: number, toMs: number): Set<string> {
  const found = new Set<string>();
  const seen = new Set<string>();
  let watermark = Number.NEGATIVE_INFINITY;
  for (const { value } of votes) {
    const { validator, timestamp } = JSON.parse(String(value)) as {
      validator: string;
      timestamp: number;
    };
    watermark = Math.max(watermark, timestamp);
    const isHeld = (sizeMs: number) => {
      const late = watermark - (Math.floor(timestamp / sizeMs) + 1) * sizeMs;
      return late >= fromMs && late < toMs;
    };
    const isRepetition = seen.has(String(value));
    seen.add(String(value));
    const inFive = !isRepetition && isHeld(widths['5m']);
    for (const [step, sizeMs] of Object.entries(widths)) {
      if (!inFive && !isHeld(sizeMs)) continue;
      const start = Math.floor(timestamp / sizeMs) * sizeMs;
      // Still open when the votes end: nothing is stored of it.
      if (lastMs < start + sizeMs + 30_000) continue;
      found.add(`votes.rollup.${step} validator:${validator} ${start}`);
      found.add(`votes.rollup.${step} network:testnet ${start}`);
    }
  }
  return found;
}

const timeOf = (value: Buffer): number =>
  (JSON.parse(String(value)) as { timestamp: number }).timestamp;
const lastMs = votes.reduce((last, { value }) => Math.max(last, timeOf(value)), 0);

let data: string;
let engine: EngineProcess;

beforeAll(async () => {
  data = await mkdtemp(join(tmpdir(), 'tidemark-diff-'));
  const broker = await openEmbeddedBroker({
    directory: data,
    clock: systemClock,
    logger: silentLogger,
  });
  await broker.createTopics([{ name: 'votes' }]);
  for (let at = 0; at < votes.length; at += 5_000)
    await broker.append('votes', votes.slice(at, at + 5_000));
  await broker.close();
  engine = new EngineProcess({ data, flags: ['--topology', 'vote-latency'] });
  await settled([engine], { withinMs: 60_000 });
  return async () => {
    await engine.kill();
    await rm(data, { recursive: true, force: true });
  };
}, 90_000);

async function diff(...words: string[]) {
  const command = new CommandProcess(['replay', ...words, '--diff', '--data', data]);
  const code = await command.exit();
  return { code, printed: command.printed };
}

/** Of a grace of 5 s instead of 30 s. */
function expectWindowsBetween(report: NonNullable<ReplayJob['diff']>): void {
  const found = report.series.flatMap(({ topic, key, windows }) =>
    windows.map(({ start }) => `${topic} ${key.replace(/ testnet$/, '')} ${start}`),
  );
  const expected = windowsBetween(5_000, 30_000);
  expect(expected.size).toBeGreaterThan(20);
  expect(found.sort()).toEqual([...expected].sort());
  expect(report.different).toBe(expected.size);
  expect(report.equal).toBeGreaterThan(expected.size);
}

const stored = async (): Promise<string> => {
  const topics = await fetch(`${await engine.url()}/v1/topics?internal=true`);
  return JSON.stringify(
    ((await topics.json()) as { topics: { name: string }[] }).topics.filter(
      // The engine's own watching goes on.
      ({ name }) => name.startsWith('votes'),
    ),
  );
};

describe('replay --diff of a file, beside the engine that runs', () => {
  test('a grace of 5 s instead of 30 s shows exactly where votes came between, and nowhere else', async () => {
    const file = await changedTopology('GRACE_MS = seconds(30)', 'GRACE_MS = seconds(5)');
    const before = await stored();
    const { code, printed } = await diff(file, '--from', 'beginning', '--json');
    expect(code, printed).toBe(1);
    expectWindowsBetween(JSON.parse(printed).diff);
    expect(await stored()).toBe(before);
  });

  test('the topology as it is shows nothing', async () => {
    const file = await changedTopology('GRACE_MS = seconds(30)', 'GRACE_MS = seconds(30)');
    const { code, printed } = await diff(file, '--from', 'beginning');
    expect({ code, printed }).toEqual({
      code: 0,
      printed: expect.stringMatching(/^compared [1-9]\d*, different 0\n$/),
    });
  });

  test('a topology whose input is not there is refused, not called equal', async () => {
    const { code, printed } = await diff(join(project, 'examples/word-count.ts'), '--from', '0');
    expect(code).not.toBe(0);
    expect(printed).toMatch(/has no topic lines, which word-count reads/);
  });

  test('an engine that was started with the change says the same over HTTP of what the old one stored', async () => {
    const file = await changedTopology('GRACE_MS = seconds(30)', 'GRACE_MS = seconds(5)');
    await engine.stop();
    engine = new EngineProcess({ data, flags: ['--topology', file] });
    await settled([engine], { withinMs: 60_000, quietMs: 1_000 });
    const url = `${await engine.url()}/v1/replays`;
    const before = await stored();
    const asked = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'vote-latency', from: { offset: 0 }, diff: true }),
    });
    expect(asked.status).toBe(202);
    let job = (await asked.json()) as ReplayJob;
    while (job.state === 'running') {
      await systemClock.sleep(50);
      job = await getJson<ReplayJob>(`${url}/${job.id}`);
    }
    expect(job.error).toBeNull();
    expectWindowsBetween(job.diff as NonNullable<ReplayJob['diff']>);
    expect(await stored()).toBe(before);
  });
});
