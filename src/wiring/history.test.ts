/** Who answers history: the primary, or the fallback while InfluxDB fails, hangs or is left alone. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { OutageProxy } from '../../test/support/outage-proxy.ts';
import type { HistoryQuery } from '../api/index.ts';
import { InfluxReader, type InfluxRollup, influxConfig } from '../databases/influx/index.ts';
import { FatalError, RetriableError } from '../model/index.ts';
import { ManualClock, registry, silentLogger, systemClock } from '../runtime/index.ts';
import { answersOf } from './history.ts';
import type { HistoryStore } from './history-store.ts';
import { InfluxHistory } from './influx-history.ts';

const START = Date.UTC(2026, 0, 1);
const query: HistoryQuery = {
  scope: 'validator',
  id: 'Certusm1sa411sMpV9FPqU5dXAYhmmhygvxJ23S6hJ24',
  from: START,
  to: START + 3_600_000,
  step: '5m',
};
const stored: InfluxRollup = {
  start: START,
  network: 'testnet',
  ...{ count: 3, mean: 10 / 3, min: 1, max: 7, stddev: 2.6, p50: 2, p95: 7, p99: 7 },
  movingAverage: 3,
};
const embedded: HistoryStore = { name: 'embedded', points: async () => [] };
const away = () => new RetriableError('InfluxDB does not answer', { code: 'SINK_UNREACHABLE' });

/** Answers what the test says, and counts how often it was asked. */
class ScriptedReader {
  asked = 0;
  answer: () => Promise<readonly InfluxRollup[]> = async () => [stored];

  rollups(): Promise<readonly InfluxRollup[]> {
    this.asked++;
    return this.answer();
  }
}

function scene() {
  const clock = new ManualClock();
  const reader = new ScriptedReader();
  const influx = new InfluxHistory(reader, clock);
  return { clock, reader, influx, points: answersOf([influx, embedded], silentLogger) };
}

async function fallbacksCounted(code: string): Promise<number> {
  const metric = await registry.getSingleMetric('history_fallbacks_total')?.get();
  return metric?.values.find(({ labels }) => labels.code === code)?.value ?? 0;
}

describe('the primary', () => {
  test('answers what InfluxDB has, and leaves out what it has not', async () => {
    const { start, network: _, ...figures } = stored;
    const window = { start, end: start + 300_000 };
    expect(await scene().points(query)).toEqual({
      store: 'influx',
      points: [{ window, ...figures }],
    });
  });

  test('tells the networks of a validator apart, in order', async () => {
    const { reader, points } = scene();
    reader.answer = async () => [stored, { ...stored, network: 'devnet', count: 9 }];
    const { store, points: found } = await points(query);
    expect([store, found.map(({ count }) => count)]).toEqual(['influx', [9, 3]]);
  });

  test('answers alone when nothing is stored: an empty answer is one', async () => {
    const { reader, points } = scene();
    reader.answer = async () => [];
    expect(await points(query)).toEqual({ store: 'influx', points: [] });
  });
});

describe('the fallback', () => {
  test.each([
    ['SINK_UNREACHABLE', away()],
    ['QUERY_TIMEOUT', new RetriableError('no answer', { code: 'QUERY_TIMEOUT' })],
    ['SINK_UNAUTHORIZED', new FatalError('token', { code: 'SINK_UNAUTHORIZED' })],
    ['QUERY_TOO_LARGE', new FatalError('too many rows', { code: 'QUERY_TOO_LARGE' })],
    ['UNEXPECTED', new TypeError('garbage')],
  ])('answers when the primary fails with %s, and is counted', async (code, error) => {
    const { reader, points } = scene();
    reader.answer = () => Promise.reject(error);
    const before = await fallbacksCounted(code);
    expect(await points(query)).toEqual({ store: 'embedded', points: [] });
    expect(await fallbacksCounted(code)).toBe(before + 1);
  });

  test('answers when windows stand twice or figures are missing', async () => {
    const { reader, points } = scene();
    reader.answer = async () => [stored, { ...stored, count: 9 }];
    expect((await points(query)).store).toBe('embedded');
    reader.answer = async () => [{ ...stored, p99: Number.NaN }];
    expect((await points(query)).store).toBe('embedded');
  });

  test('may be InfluxDB, when this process’s own store fails', async () => {
    const { influx } = scene();
    const broken: HistoryStore = {
      name: 'embedded',
      points: () => Promise.reject(new Error('disk')),
    };
    const points = answersOf([broken, influx], silentLogger);
    expect((await points(query)).store).toBe('influx');
  });

  test('answers when a real connection hangs', async () => {
    const proxy = new OutageProxy('http://127.0.0.1:9');
    const url = await proxy.start();
    onTestFinished(() => proxy.stop());
    await proxy.set('hang');
    const config = influxConfig({ url, org: 'o', token: 't' });
    const reader = new InfluxReader({ config, clock: systemClock, timeoutMs: 50 });
    const influx = new InfluxHistory(reader, systemClock);
    expect((await answersOf([influx, embedded], silentLogger)(query)).store).toBe('embedded');
    await expect(influx.points(query)).rejects.toMatchObject({ code: 'QUERY_TIMEOUT' });
  });
});

describe('InfluxDB that is away', () => {
  test('is left alone after three failures, then asked by one alone until it answers', async () => {
    const { clock, reader, points } = scene();
    reader.answer = () => Promise.reject(away());
    for (let i = 0; i < 5; i++) expect((await points(query)).store).toBe('embedded');
    expect(reader.asked).toBe(3);

    await clock.advance(5_000);
    let answer: (rollups: readonly InfluxRollup[]) => void = () => {};
    reader.answer = () => new Promise((resolve) => (answer = resolve));
    const probe = points(query);
    expect((await points(query)).store).toBe('embedded');
    expect(reader.asked).toBe(4);
    answer([stored]);
    expect((await probe).store).toBe('influx');
    reader.answer = async () => [stored];
    expect((await points(query)).store).toBe('influx');
  });

  test('is not thought away for questions that ask too much', async () => {
    const { reader, points } = scene();
    reader.answer = () =>
      Promise.reject(new FatalError('too many rows', { code: 'QUERY_TOO_LARGE' }));
    for (let i = 0; i < 5; i++) await points(query);
    expect(reader.asked).toBe(5);
  });

  test('without a fallback the answer says why there is none', async () => {
    const { reader, influx } = scene();
    reader.answer = () => Promise.reject(away());
    const points = answersOf([influx], silentLogger);
    for (let i = 0; i < 4; i++) {
      await expect(points(query)).rejects.toMatchObject({
        code: 'HISTORY_UNANSWERED',
        message: expect.stringMatching(/^influx: .*InfluxDB does not answer$/),
      });
    }
  });
});
