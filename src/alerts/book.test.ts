import { expect, test } from 'vitest';
import { firingAlert } from '../../test/support/firing-alert.ts';
import { memoryBroker } from '../../test/support/memory-broker.ts';
import type { AlertTransition } from '../model/index.ts';
import { AlertBook } from './book.ts';
import { ALERTS, createAlertTopics } from './topics.ts';

const ALL = { from: 0, to: Number.POSITIVE_INFINITY, limit: 100 };

async function opened(...alerts: Partial<AlertTransition>[]) {
  let now = 10_000;
  const broker = memoryBroker({ now: () => now });
  await createAlertTopics(broker);
  const clock = { now: () => now } as never;
  const say = (...given: Partial<AlertTransition>[]) =>
    broker.put(ALERTS, 0, ...given.map((each) => JSON.stringify(firingAlert(each))));
  say(...alerts);
  const book = () => new AlertBook({ broker, clock });
  return {
    broker,
    book,
    say,
    later: (ms: number) => {
      now += ms;
    },
  };
}

test('an alert stands as its last transition says, and the history is newest first', async () => {
  const { book, say } = await opened(
    { id: 'a', state: 'pending', at: 1_000 },
    { id: 'b', at: 2_000, rule: 'disk' },
  );
  const one = book();
  expect((await one.list(ALL)).pending.map(({ id }) => id)).toEqual(['a']);
  say({ id: 'a', at: 3_000, sequence: 2 }, { id: 'b', rule: 'disk', state: 'resolved', at: 4_000 });
  const { firing, pending, history } = await one.list(ALL);
  expect([firing.map(({ id }) => id), pending]).toEqual([['a'], []]);
  expect(history.map(({ at }) => at)).toEqual([4_000, 3_000, 2_000, 1_000]);
  const asked = await one.list({ ...ALL, from: 2_000, to: 4_000, limit: 1 });
  expect(asked.history.map(({ at }) => at)).toEqual([3_000]);
  expect((await one.list({ ...ALL, rule: 'disk' })).history).toHaveLength(2);
  expect(await one.firingByRule()).toEqual(new Map([['cpu', 1]]));
});

test('an acknowledgement is of one episode, and another process knows it', async () => {
  const { book, say } = await opened({ id: 'a' });
  await book().acknowledge('a', { by: 'ann', comment: null });
  const other = book();
  expect((await other.list(ALL)).firing[0]?.acknowledged).toEqual({
    by: 'ann',
    comment: null,
    at: 10_000,
  });
  say({ id: 'a', state: 'resolved', at: 5_000, sequence: 2 });
  say({ id: 'a', startedAt: 6_000, at: 6_000 });
  expect((await other.list(ALL)).firing[0]?.acknowledged).toBeNull();
});

test('what does not fire can’t be acknowledged, and the reason is told apart', async () => {
  const { book } = await opened({ id: 'a', state: 'pending' }, { id: 'b', state: 'resolved' });
  const note = { by: null, comment: null };
  const refused = (id: string) => book().acknowledge(id, note);
  await expect(refused('a')).rejects.toMatchObject({ code: 'ALERT_NOT_FIRING' });
  await expect(refused('b')).rejects.toMatchObject({ code: 'ALERT_NOT_FIRING' });
  await expect(refused('c')).rejects.toMatchObject({ code: 'UNKNOWN_ALERT' });
});

test('a silence is pending, active, expired, and no longer shown after a day', async () => {
  const { book, later } = await opened({ id: 'a' });
  const one = book();
  const silence = await one.silence({
    matchers: { host: 'web-*' },
    startsAt: 11_000,
    endsAt: 20_000,
    comment: null,
    createdBy: null,
  });
  expect(silence.state).toBe('pending');
  expect((await one.list(ALL)).firing[0]?.silencedBy).toBeNull();
  later(1_000);
  expect((await one.list(ALL)).firing[0]?.silencedBy).toBe(silence.id);
  expect((await one.endSilence(silence.id))?.state).toBe('expired');
  expect((await one.list(ALL)).firing[0]?.silencedBy).toBeNull();
  expect((await book().silences()).map(({ state }) => state)).toEqual(['expired']);
  later(86_400_000);
  expect(await one.silences()).toEqual([]);
  expect(await one.endSilence('nobody')).toBeUndefined();
});

test('what others publish to the topic is passed over, and a broker that was away is asked again', async () => {
  const { broker, book } = await opened({ id: 'a' });
  broker.put(ALERTS, 0, 'no json', '7', null);
  const one = book();
  broker.away = true;
  await expect(one.list(ALL)).rejects.toMatchObject({ code: 'BROKER_UNREACHABLE' });
  broker.away = false;
  const { firing, history } = await one.list(ALL);
  expect([firing.length, history.length]).toEqual([1, 1]);
});
