import { afterEach, beforeEach, expect, test } from 'vitest';
import { type FakeInflux, fakeInflux, TEST_TOKEN } from '../../../test/support/fake-influx.ts';
import { InfluxReader } from './reader.ts';

let influx: FakeInflux;
beforeEach(async () => {
  influx = await fakeInflux();
});
afterEach(() => influx.close());

const csv = (...lines: string[]) => ({
  status: 200,
  headers: { 'content-type': 'text/csv; charset=utf-8' },
  body: [...lines, '', ''].join('\r\n'),
});
const table = (...rows: string[]) =>
  csv(
    '#datatype,string,long,dateTime:RFC3339,string,long,double',
    '#group,false,false,false,false,false,false',
    '#default,_result,,,,,',
    ',result,table,_time,network,count,p95',
    ...rows,
  );
const range = { id: 'v', step: '5m', from: 0, to: 1_000 } as const;

test('a query names its range, bucket and series; rows come back as numbers', async () => {
  influx.answer = () => table(',,0,2026-11-21T00:05:00Z,mainnet,7,4.25');
  const reader = new InfluxReader({ config: influx.config });
  const [rollup] = await reader.getValidatorMetrics({ ...range, network: 'mainnet' });
  expect(rollup).toMatchObject({
    start: Date.UTC(2026, 10, 21, 0, 5),
    network: 'mainnet',
    count: 7,
    p95: 4.25,
  });
  expect(rollup).not.toHaveProperty('validatorId');
  const [request] = influx.requests;
  const { query } = JSON.parse(request!.body) as { query: string };
  expect(query).toContain('from(bucket: "vote-latencies-5m")');
  expect(query).toContain('start: time(v: "1970-01-01T00:00:00.000Z")');
  expect(query).toContain('stop: time(v: "1970-01-01T00:00:01.000Z")');
  expect(query).toContain('r.validator_id == "v" and r.network == "mainnet"');
  expect(request!.headers.authorization).toBe(`Token ${TEST_TOKEN}`);
});

test('an empty range asks nobody', async () => {
  const reader = new InfluxReader({ config: influx.config });
  expect(await reader.getNetworkStats({ ...range, from: 5, to: 5 })).toEqual([]);
  expect(influx.requests).toEqual([]);
});

test('the same question within two seconds is asked once', async () => {
  influx.answer = () => table(',,0,2026-11-21T00:05:00Z,mainnet,7,4.25');
  const reader = new InfluxReader({ config: influx.config });
  const answers = await Promise.all([reader.getNetworkStats(range), reader.getNetworkStats(range)]);
  expect(await reader.getNetworkStats(range)).toBe(answers[0]);
  await reader.getValidatorMetrics(range);
  expect(influx.requests).toHaveLength(2);
});

test('an error row in the middle of a result is thrown', async () => {
  influx.answer = () =>
    csv(
      '#datatype,string,long,double',
      '#group,false,false,false',
      '#default,_result,,',
      ',result,table,_value',
      ',,0,1.5',
      '',
      '#datatype,string,string',
      '#group,true,true',
      '#default,,',
      ',error,reference',
      ',memory allocation limit reached,897',
    );
  const reader = new InfluxReader({ config: influx.config });
  await expect(reader.rows('q', (row) => row.number('_value'))).rejects.toMatchObject({
    code: 'QUERY_FAILED',
    message: expect.stringContaining('memory allocation limit reached'),
  });
});

test.each([
  [401, 'INFLUX_UNAUTHORIZED'],
  [404, 'INFLUX_NOT_FOUND'],
  [400, 'QUERY_INVALID'],
  [429, 'SINK_BUSY'],
  [500, 'SINK_FAILED'],
])('status %d becomes %s with the words of the server', async (status, code) => {
  influx.answer = () => ({
    status,
    headers: { 'retry-after': '4' },
    body: { code: 'some code', message: 'some message' },
  });
  const reader = new InfluxReader({ config: influx.config });
  const thrown = await reader.getNetworkStats(range).catch((error: unknown) => error);
  expect(thrown).toMatchObject({ code, message: expect.stringContaining('some message') });
  if (status === 429) expect(thrown).toMatchObject({ retryAfterMs: 4_000 });
  expect(`${(thrown as Error).stack}`).not.toContain(TEST_TOKEN);
});

test('a server that never answers is left after the timeout', async () => {
  influx.answer = () => 'hang';
  const reader = new InfluxReader({ config: influx.config, timeoutMs: 30 });
  await expect(reader.getNetworkStats(range)).rejects.toMatchObject({ code: 'QUERY_TIMEOUT' });
});

test('a connection cut is SINK_UNREACHABLE', async () => {
  influx.answer = () => 'cut';
  const reader = new InfluxReader({ config: influx.config });
  await expect(reader.getNetworkStats(range)).rejects.toMatchObject({ code: 'SINK_UNREACHABLE' });
});

test('a caller may leave; another who asked the same still gets the answer', async () => {
  let release: () => void = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const reader = new InfluxReader({ config: influx.config });
  influx.answer = () => {
    release();
    return table(',,0,2026-11-21T00:05:00Z,mainnet,7,4.25');
  };
  const leave = new AbortController();
  const left = reader.getNetworkStats(range, leave.signal);
  const stayed = reader.getNetworkStats(range);
  leave.abort(new Error('gone'));
  await expect(left).rejects.toThrow('gone');
  await held;
  await expect(stayed).resolves.toHaveLength(1);
});

test('what a reader of rows throws ends the query with it', async () => {
  influx.answer = () => table(',,0,2026-11-21T00:05:00Z,mainnet,7,4.25');
  const reader = new InfluxReader({ config: influx.config });
  const fail = () => {
    throw new Error('not a row of mine');
  };
  await expect(reader.rows('q', fail)).rejects.toThrow('not a row of mine');
});

test('whole numbers beyond 2^53 and missing columns are told as they are', async () => {
  influx.answer = () => table(',,0,2026-11-21T00:05:00Z,,9007199254740993,');
  const reader = new InfluxReader({ config: influx.config });
  const [row] = await reader.rows('q', (row) => [
    row.bigint('count'),
    row.number('p95'),
    row.text('network'),
    row.timeMs('nothing'),
  ]);
  expect(row).toEqual([9_007_199_254_740_993n, undefined, undefined, undefined]);
});
