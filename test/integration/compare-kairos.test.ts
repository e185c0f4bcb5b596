/** Two servers are compared point by point, and a comparison that died goes on where it was. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  type CompareInput,
  compareKairosKind,
  differenceText,
  EARLIEST_MS,
  Jobs,
  KairosServer,
  LATEST_MS,
} from '../../src/jobs/index.ts';
import type { DataPoint } from '../../src/model/index.ts';
import { silentLogger, systemClock } from '../../src/runtime/index.ts';
import { temporaryDirectory } from '../support/embedded-broker.ts';
import { type KairosServerOfTest, kairosServer } from '../support/kairos-server.ts';

const T = 1_700_000_000_000;
const HOUR = 3_600_000;
let servers: readonly KairosServerOfTest[];
let input: CompareInput;

const point = (
  metric: string,
  timestampMs: number,
  value: DataPoint['value'],
  tags: Record<string, string> = { host: 'a' },
): DataPoint => ({ metric, tags, timestampMs, value });

beforeAll(async () => {
  const [a, b] = [await kairosServer(), await kairosServer()];
  servers = [a, b];
  const both = [
    ...Array.from({ length: 100 }, (_, n) => point('same', T + n * HOUR, BigInt(n))),
    point('m', T, 2n ** 53n),
    point('m', T, 2.5),
    point('m', T + 1, 'text'),
    point('m', T - 40 * HOUR, 1n),
  ];
  for (const { store } of servers) {
    await store.connect();
    await store.write(both);
  }
  await a.store.write([point('m', T + 2, 1n), point('m', T + 30 * HOUR, 1n), point('a', T, 1n)]);
  const awkward = { 'a,b': 'c, d=e' };
  await a.store.write([point('m', T + 3, 10_000_000n), point('m', T + 4, 1n, awkward)]);
  await b.store.write([
    point('m', T + 3, 1e7),
    point('m', T + 4, 1n, { 'a,b': 'c', d: 'e' }),
    point('m', T, 2n ** 53n + 1n),
    point('m', T + 2, 1n, { host: 'a', dc: 'x' }),
    point('m', T + 30 * HOUR, 1.5),
  ]);
  const [left, right] = [await a.listen(), await b.listen()];
  input = {
    a: left,
    b: right,
    prefixes: [],
    fromMs: EARLIEST_MS,
    toMs: LATEST_MS,
    sliceMs: 24 * HOUR,
  };
});
afterAll(async () => {
  for (const server of servers) await server.close();
});

const expected = [
  'a: only A knows the name',
  'a {host=a} 2023-11-14T22:13:20.000Z: A 1, B nothing',
  'm {dc=x, host=a} 2023-11-14T22:13:20.002Z: A nothing, B 1',
  'm {host=a} 2023-11-14T22:13:20.000Z: A 2.5 and 9007199254740992, B 2.5 and 9007199254740993',
  'm {host=a} 2023-11-14T22:13:20.002Z: A 1, B nothing',
  'm {host=a} 2023-11-14T22:13:20.003Z: A 10000000, B 10000000.0',
  'm {host=a} 2023-11-16T04:13:20.000Z: A 1, B 1.5',
  'm {"a,b"="c, d=e"} 2023-11-14T22:13:20.004Z: A 1, B nothing',
  'm {"a,b"=c, d=e} 2023-11-14T22:13:20.004Z: A nothing, B 1',
].sort();

/** Puts the job down after so many differences, as a death would. */
async function compare(directory: string, downAfter = Number.POSITIVE_INFINITY) {
  const found: string[] = [];
  let total: unknown;
  let enough: () => void = () => {};
  const down = new Promise<void>((resolve) => {
    enough = resolve;
  });
  const kind = compareKairosKind({
    a: new KairosServer(input.a),
    b: new KairosServer(input.b),
    found(difference) {
      found.push(differenceText(difference));
      if (found.length >= downAfter) enough();
    },
    total(of) {
      total = of;
    },
  });
  const jobs = Jobs.open({ directory, kinds: [kind], clock: systemClock, logger: silentLogger });
  try {
    const { id } = jobs.get('it') ?? (await jobs.start(kind.name, input, { id: 'it' }));
    await jobs.resume(id);
    await Promise.race([jobs.settled(id), down]);
    return { found, report: jobs.report(id), total: () => total };
  } finally {
    await jobs.close();
  }
}

test('every difference is found: values, types, times, series, names, longs beyond 2^53', async () => {
  const { found, report } = await compare(await temporaryDirectory());
  expect(found.sort()).toEqual(expected);
  expect(report?.state).toBe('done');
  expect(report?.summary).toEqual([`compared ${100 + 8 + 1} points, 9 differences`]);
});

test('one that was put down half-way tells the rest, and the report all of it', async () => {
  const directory = await temporaryDirectory();
  const first = await compare(directory, 2);
  expect(first.report?.state).not.toBe('done');
  const second = await compare(directory);
  expect(second.report?.state).toBe('done');
  expect(new Set([...first.found, ...second.found])).toEqual(new Set(expected));
  expect(second.report?.notes.toSorted()).toEqual(expected);
});
