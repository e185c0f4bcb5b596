/** A query's memory does not grow with its range: a process with a small heap answers about millions of points. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { embeddedWideRows } from '../../src/databases/embedded/index.ts';
import { KairosStore } from '../../src/databases/kairos/index.ts';

const run = promisify(execFile);
const child = fileURLToPath(new URL('query-memory.child.ts', import.meta.url));
const POINTS = 1_500_000;
/** Twelve weeks, a point each few seconds: four rows in turn. */
const STEP_MS = Math.floor((84 * 86_400_000) / POINTS);
const HEAP_MIB = 40;
let directory: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'tidemark-query-memory-'));
  const store = new KairosStore({ rows: embeddedWideRows({ dataDirectory: directory }) });
  await store.connect();
  const tags = { host: 'a' };
  for (let from = 0; from < POINTS; from += 25_000) {
    await store.write(
      Array.from({ length: 25_000 }, (_, i) => ({
        metric: 'm',
        tags,
        timestampMs: (from + i) * STEP_MS,
        value: ((from + i) % 1_000) + 0.5,
      })),
    );
  }
  await store.close();
}, 240_000);
afterAll(() => rmSync(directory, { recursive: true, force: true }));

interface Asked {
  readonly points: number;
  readonly bufferBytesMax: number;
  readonly answer: string;
}

async function ask(share: number, aggregators: readonly object[]): Promise<Asked> {
  const query = {
    start_absolute: 0,
    end_absolute: Math.floor(POINTS * share) * STEP_MS - 1,
    time_zone: 'UTC',
    metrics: [{ name: 'm', aggregators }],
  };
  const parameters = [
    ...['--disable-warning=ExperimentalWarning', '--conditions=tidemark-source', '--expose-gc'],
    ...[`--max-old-space-size=${HEAP_MIB}`, child, directory, JSON.stringify(query)],
  ];
  const { stdout } = await run(process.execPath, parameters, { maxBuffer: 64 * 1_024 * 1_024 });
  return JSON.parse(stdout) as Asked;
}

const daily = (name: string) => ({ name, sampling: { value: 1, unit: 'days' } });

test('the whole range is answered within a heap that could not hold its points', async () => {
  const part = await ask(0.1, [daily('sum')]);
  const whole = await ask(1, [daily('sum')]);
  expect([part.points, whole.points]).toEqual([POINTS / 10, POINTS]);
  expect(JSON.parse(whole.answer).queries[0].results[0].values).toHaveLength(84);
  // Pages in hand, of which each side of the merge has one: as many for ten times the range.
  expect(whole.bufferBytesMax).toBeLessThan(part.bufferBytesMax + 8 * 1_024 * 1_024);
  // The test would notice: without an aggregator the answer itself has to be held, and that this heap can't.
  await expect(ask(1, [])).rejects.toThrow(/heap/i);
}, 120_000);
