/** The way into the log: shared appends, the bound, refusals, and the order of points and deletes. */
import { expect, it } from 'vitest';
import type { AppendedRecord, Broker, ProducerRecord } from '../../broker/index.ts';
import { decodeDelete, isDelete, pointsOf } from '../../databases/kairos/index.ts';
import { RetriableError } from '../../model/index.ts';
import { ManualClock, systemClock } from '../../runtime/index.ts';
import { PointLog } from './point-log.ts';

/** Each append waits until it is let go. */
class HeldBroker {
  readonly appends: (readonly ProducerRecord[])[] = [];
  #held: ((failure?: Error) => void)[] = [];
  append(_topic: string, records: readonly ProducerRecord[]): Promise<AppendedRecord[]> {
    this.appends.push(records);
    return new Promise((resolve, reject) => {
      this.#held.push((failure) =>
        failure
          ? reject(failure)
          : resolve(records.map((_record, offset) => ({ partition: 0, offset }))),
      );
    });
  }
  async release(failure?: Error): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    this.#held.shift()?.(failure);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function open(more: Partial<ConstructorParameters<typeof PointLog>[0]> = {}) {
  const broker = new HeldBroker();
  const log = new PointLog({
    broker: broker as unknown as Broker,
    clock: systemClock,
    topic: 't',
    partitions: 1,
    write: { nonFinite: 'store' },
    stored: async () => {},
    ...more,
  });
  const send = (timestampMs: number, text = 'x') => {
    log.draft.reset();
    log.draft.add({ metric: 'm', tags: { h: 'a' }, timestampMs, value: text });
    return log.accept(log.draft);
  };
  return { broker, log, send };
}

const all = { metric: 'm', startMs: -Infinity, endMs: Infinity, tags: new Map(), withName: false };

it('what comes while an append is under way shares the next one, and is acknowledged by it', async () => {
  const { broker, send } = open();
  const acknowledged: number[] = [];
  const first = send(1).then(() => acknowledged.push(1));
  await new Promise((resolve) => setImmediate(resolve));
  const others = [2, 3, 4].map((i) => send(i).then(() => acknowledged.push(i)));
  await broker.release();
  await first;
  expect(acknowledged).toEqual([1]);
  await broker.release();
  await Promise.all(others);
  expect(acknowledged).toEqual([1, 2, 3, 4]);
  const points = broker.appends.map((records) =>
    records.map(({ value }) => pointsOf(value as Buffer)),
  );
  expect(points).toEqual([[1], [3]]);
});

it('with too many bytes waiting a request is refused with a time to wait, and taken again later', async () => {
  const { broker, log, send } = open({ waitingBytesMax: 10_000 });
  const first = send(1, 'x'.repeat(9_950));
  await expect(send(2)).rejects.toMatchObject({ code: 'INGEST_BUSY', retryAfterMs: 1_000 });
  expect(broker.appends.length).toBeLessThan(2);
  await broker.release();
  await first;
  expect(log.busy).toBe(false);
  const second = send(2);
  await broker.release();
  await second;
});

it('while too much waits for the store nothing is taken, with the reason and a time to wait', async () => {
  let full: string | undefined = 'kairos.points is behind: 21 points wait, 20 may';
  const { broker, log, send } = open({ blocked: () => full });
  const refusal = { code: 'BACKLOG_FULL', retryAfterMs: 5_000 };
  await expect(send(1)).rejects.toMatchObject({
    ...refusal,
    message: expect.stringContaining('kairos.points is behind'),
  });
  await expect(log.delete(all)).rejects.toMatchObject(refusal);
  full = undefined;
  const taken = send(1);
  await broker.release();
  await taken;
  expect(broker.appends).toHaveLength(1);
});

it('what the log refuses is refused to all who shared the append, and to nobody else', async () => {
  const { broker, send } = open();
  const refused = [send(1), send(2)];
  const outcome = Promise.allSettled(refused);
  await broker.release(new RetriableError('no space', { code: 'LOG_FULL', retryAfterMs: 7_000 }));
  for (const each of await outcome) {
    expect(each).toMatchObject({ reason: { code: 'LOG_UNAVAILABLE', retryAfterMs: 7_000 } });
    expect(String((each as PromiseRejectedResult).reason)).toMatch(/no space.*send it again/);
  }
  const next = send(3);
  await broker.release();
  await next;
});

it('a delete stands between what was acknowledged before and after it, whatever append it is in', async () => {
  const { broker, log, send } = open();
  const done = Promise.all([send(1), log.delete(all), send(2), log.delete(all), send(3)]);
  await broker.release();
  await done;
  expect(broker.appends.flat().map(({ value }) => isDelete(value as Buffer))).toEqual([
    false,
    true,
    false,
    true,
    false,
  ]);
  expect(decodeDelete(broker.appends[0]?.[1]?.value as Buffer)).toEqual(all);
});

it('a delete that the store has not come to is told so, with its place in the log', async () => {
  const clock = new ManualClock();
  const stored = (_partition: number, _offset: number, signal: AbortSignal) =>
    new Promise<void>((_resolve, reject) => signal.addEventListener('abort', () => reject()));
  const { broker, log } = open({ clock, stored, deleteWaitMs: 1_000 });
  const deleted = log.delete(all);
  const outcome = expect(deleted).rejects.toMatchObject({
    code: 'DELETE_WAITS',
    message: expect.stringContaining('t/0 at 0'),
  });
  await broker.release();
  await clock.advance(1_000);
  await outcome;
});

it('a log that stops appends what it took and takes no more', async () => {
  const { broker, log, send } = open();
  const taken = send(1);
  const stopped = log.stop();
  await expect(send(2)).rejects.toMatchObject({ code: 'INGEST_STOPPING' });
  await broker.release();
  await Promise.all([taken, stopped]);
});
