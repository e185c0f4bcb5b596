import { expect, test } from 'vitest';
import { firingAlert } from '../../test/support/firing-alert.ts';
import { type AlertTransition, hours, minutes, type Silence } from '../model/index.ts';
import { drive } from '../stream/index.ts';
import type { ChannelConfig } from './channels/config.ts';
import { defaultNotifications, type NotificationPolicy } from './config.ts';
import type { AlertMessage } from './message.ts';
import { decideTopology } from './notify.ts';
import { ALERT_MESSAGES, ALERT_NOTES, ALERT_TICKS, ALERTS } from './topics.ts';

const T = 1_760_000_000_000;
const log: ChannelConfig = { name: 'log', type: 'log', match: {}, sendResolved: true };

function desk(
  channels: readonly ChannelConfig[] = [log],
  policy: Partial<NotificationPolicy> = {},
) {
  const driver = drive(
    decideTopology({ channels, policy: { ...defaultNotifications, ...policy } }),
  );
  const at = (ms: number, topic: string, value: unknown) =>
    driver.pipe(topic, [{ value, timestamp: T + ms }]);
  return {
    driver,
    alert: (ms: number, changes: Partial<AlertTransition> = {}) =>
      at(ms, ALERTS, { ...firing(ms), ...changes }),
    silence: (ms: number, silence: Partial<Silence>) =>
      at(ms, ALERT_NOTES, {
        kind: 'silence',
        id: 's',
        createdAt: T + ms,
        matchers: {},
        ...silence,
      }),
    acknowledge: (ms: number, alert: string, startedAt: number) =>
      at(ms, ALERT_NOTES, { kind: 'acknowledgement', alert, startedAt, at: T + ms }),
    tick: (ms: number) => at(ms, ALERT_TICKS, {}),
    messages: () => driver.read<AlertMessage>(ALERT_MESSAGES),
    told: () =>
      driver
        .read<AlertMessage>(ALERT_MESSAGES)
        .map(({ at: when, firing: f, resolved: r }) => [
          (when - T) / 1_000,
          ...f.map(({ subject, repeated }) => `${subject}${repeated ? ' still' : ''}`),
          ...r.map(({ subject }) => `${subject} resolved`),
        ]),
  };
}

const firing = (ms: number): AlertTransition =>
  firingAlert({ startedAt: T + ms, firedAt: T + ms, at: T + ms });

const ended = (startedMs: number): Partial<AlertTransition> => ({
  state: 'resolved',
  startedAt: T + startedMs,
});

test('several hosts go in one message; a pending alert is told to nobody', () => {
  const d = desk();
  d.alert(0);
  d.alert(1_000, { id: 'b', subject: 'web-2' });
  d.alert(2_000, { id: 'c', subject: 'web-3', state: 'pending' });
  d.tick(4_000);
  expect(d.told()).toEqual([]);
  d.tick(5_000);
  expect(d.told()).toEqual([[5, 'web-1', 'web-2']]);
});

test('an alert that goes on is told again after half an hour, and its end is told', () => {
  const d = desk();
  d.alert(0);
  for (let ms = 5_000; ms <= minutes(70); ms += 5_000) d.tick(ms);
  d.alert(minutes(71), ended(0));
  d.tick(minutes(72));
  expect(d.told()).toEqual([
    [5, 'web-1'],
    [1_810, 'web-1 still'],
    [3_615, 'web-1 still'],
    [4_320, 'web-1 resolved'],
  ]);
});

test('one that comes and goes is told once in half an hour', () => {
  const d = desk();
  for (let i = 0; i < 12; i++) {
    const ms = minutes(5) * i;
    d.alert(ms);
    d.tick(ms + minutes(1));
    d.alert(ms + minutes(2), ended(ms));
    d.tick(ms + minutes(3));
  }
  expect(d.told()).toEqual([
    [60, 'web-1'],
    [180, 'web-1 resolved'],
    [1_860, 'web-1'],
    [1_980, 'web-1 resolved'],
  ]);
});

test('what comes back within half an hour and stays is told when that is over', () => {
  const d = desk();
  d.alert(0);
  d.tick(5_000);
  d.alert(minutes(2), ended(0));
  d.tick(minutes(3));
  d.alert(minutes(4));
  for (let ms = minutes(5); ms <= minutes(32); ms += 5_000) d.tick(ms);
  expect(d.told()).toEqual([
    [5, 'web-1'],
    [180, 'web-1 resolved'],
    [1_810, 'web-1'],
  ]);
});

test('one that gets worse is told at once; one that gets better is not', () => {
  const d = desk();
  d.alert(0);
  d.tick(6_000);
  d.alert(minutes(1), { startedAt: T, severity: 'critical', sequence: 2 });
  d.tick(minutes(2));
  d.alert(minutes(3), { startedAt: T, severity: 'critical', sequence: 3 });
  d.alert(minutes(4), { startedAt: T, sequence: 4 });
  d.tick(minutes(5));
  expect(d.messages().map(({ firing: [first] }) => first?.severity)).toEqual([
    'warning',
    'critical',
  ]);
});

test('an acknowledged alert is not repeated, but its end is told, and the next episode is', () => {
  const d = desk();
  d.alert(0);
  d.tick(5_000);
  d.acknowledge(6_000, 'a', T);
  for (let ms = minutes(1); ms <= hours(2); ms += minutes(1)) d.tick(ms);
  d.alert(hours(2), ended(0));
  d.tick(hours(2) + minutes(1));
  d.alert(hours(3));
  d.tick(hours(3) + minutes(1));
  expect(d.told()).toEqual([
    [5, 'web-1'],
    [7_260, 'web-1 resolved'],
    [10_860, 'web-1'],
  ]);
});

test('a silence holds back what fits, until it ends or is ended; others go', () => {
  const d = desk();
  d.silence(0, { matchers: { host: 'web-*' }, startsAt: T, endsAt: T + hours(1) });
  d.alert(1_000);
  d.alert(1_000, { id: 'b', subject: 'db-1', labels: { host: 'db-1' } });
  for (let ms = minutes(1); ms <= minutes(29); ms += minutes(1)) d.tick(ms);
  expect(d.told()).toEqual([[60, 'db-1']]);
  // Ended early.
  d.silence(minutes(30), { matchers: { host: 'web-*' }, startsAt: T, endsAt: T + minutes(30) });
  d.tick(minutes(31));
  expect(d.told().at(-1)).toEqual([1_860, 'web-1', 'db-1 still']);
});

test('what begins and ends in silence is never told', () => {
  const d = desk();
  d.silence(0, { matchers: { rule: 'cpu' }, startsAt: T, endsAt: T + hours(1) });
  d.alert(1_000);
  d.tick(minutes(1));
  d.alert(minutes(2), ended(1_000));
  d.tick(minutes(3)).pipe(ALERT_TICKS, [{ value: {}, timestamp: T + hours(2) }]);
  expect(d.told()).toEqual([]);
});

test('each channel gets what fits it', () => {
  const pager: ChannelConfig = {
    ...log,
    name: 'pager',
    match: { severity: 'critical' },
    sendResolved: false,
  };
  const d = desk([log, pager]);
  d.alert(0);
  d.alert(0, { id: 'b', subject: 'web-2', severity: 'critical' });
  d.tick(minutes(1));
  d.alert(minutes(2), { ...ended(0), id: 'b', severity: 'critical' });
  d.tick(minutes(3));
  expect(
    d.messages().map(({ channel, firing: f, resolved }) => [channel, f.length, resolved.length]),
  ).toEqual([
    ['log', 2, 0],
    ['pager', 1, 0],
    ['log', 0, 1],
  ]);
});

test('crashes between epochs neither lose nor double a decision', () => {
  const d = desk();
  for (let i = 0; i < 40; i++) {
    const ms = minutes(7) * i;
    const records = [{ value: { ...firing(ms), id: `a${i % 5}` }, timestamp: T + ms }];
    d.driver.pipe(ALERTS, records, { commit: i % 2 === 0 });
    d.driver.crash();
    d.tick(ms + minutes(1));
  }
  const ids = d.messages().map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
  const calm = desk();
  for (let i = 0; i < 40; i++) {
    calm.alert(minutes(7) * i, { id: `a${i % 5}` });
    calm.tick(minutes(7) * i + minutes(1));
  }
  expect(d.messages()).toEqual(calm.messages());
});

test('what is no transition is passed over', () => {
  const d = desk();
  d.driver.pipe(
    ALERTS,
    ['nonsense', 'null', '3', '{}', '{"state":"firing"}'].map((value) => ({ value, timestamp: T })),
  );
  d.driver.pipe(ALERT_NOTES, [
    { value: 'null', timestamp: T },
    { value: '{}', timestamp: T },
  ]);
  d.alert(0);
  d.tick(minutes(1));
  expect(d.told()).toHaveLength(1);
});

test('time is asked for when something waits, and not otherwise', () => {
  const d = desk();
  const wake = () => (d.driver.exposed('alarm') as { wakeAtMs?: number }).wakeAtMs;
  expect(wake()).toBeUndefined();
  d.alert(0);
  expect(wake()).toBe(T + 5_000);
  d.tick(5_000);
  expect(wake()).toBe(T + 5_000 + minutes(30));
  d.acknowledge(6_000, 'a', T);
  expect(wake()).toBeUndefined();
  d.alert(minutes(1), ended(0));
  d.tick(minutes(2));
  d.tick(minutes(40));
  expect(wake()).toBeUndefined();
});
