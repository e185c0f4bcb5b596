import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { minutes } from '../model/index.ts';
import { Secret } from '../runtime/index.ts';
import { loadAlertConfig, parseAlertConfig } from './config.ts';

/** Of the test alone, and gone with it. */
function ownDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'tidemark-alerts-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  return directory;
}

const rule = (config: ReturnType<typeof parseAlertConfig>, name: string) =>
  config.rules.find((each) => each.name === name);

test('without a file the rules of the house hold, and the log is told', () => {
  const config = parseAlertConfig({});
  expect(rule(config, 'cpu')).toMatchObject({ warning: 70, critical: 90 });
  expect(rule(config, 'memory')).toMatchObject({ warning: 85, critical: null });
  expect(rule(config, 'disk')).toMatchObject({ warning: 80 });
  expect(rule(config, 'vote-latency')).toMatchObject({ warning: 5, unit: 'slots' });
  expect(config.channels.map(({ type }) => type)).toEqual(['log']);
  expect(config.notifications.repeatMs).toBe(minutes(30));
});

test('a file changes rules by name, adds some, and leaves the rest', () => {
  const config = parseAlertConfig({
    rules: {
      cpu: {
        warning: 75,
        for: '3m',
        overrides: [
          { match: { host: 'db-*' }, warning: 95 },
          { match: { environment: 'dev' }, enabled: false },
        ],
      },
      'cpu-idle': { measure: 'cpu.usage', direction: 'below', warning: 1, for: '1h' },
      disk: { enabled: false },
    },
    notifications: { repeat: '1h', groupBy: ['rule', 'environment'] },
  });
  expect(rule(config, 'cpu')).toMatchObject({ warning: 75, critical: 90, forMs: minutes(3) });
  expect(rule(config, 'cpu')?.overrides).toEqual([
    { match: { host: 'db-*' }, enabled: true, warning: 95, critical: null },
    { match: { environment: 'dev' }, enabled: false, warning: 70, critical: 90 },
  ]);
  expect(rule(config, 'cpu-idle')).toMatchObject({ direction: 'below', unit: '%', warning: 1 });
  expect(rule(config, 'disk')?.enabled).toBe(false);
  expect(rule(config, 'memory')).toMatchObject({ warning: 85 });
  expect(config.notifications).toMatchObject({ repeatMs: minutes(60), groupWaitMs: 5_000 });
});

test.each([
  [{ ruels: {} }, /there is no key "ruels"; did you mean rules\?/],
  [{ rules: { cup: { warning: 3 } } }, /no rule .*"cup"; did you mean cpu\?/],
  [{ rules: { cpu: { wraning: 3 } } }, /rules\.cpu\.wraning in alerts: .*did you mean warning\?/],
  [
    { rules: { cpu: { warning: '80' } } },
    /rules\.cpu\.warning in alerts: expected a number, got string/,
  ],
  [{ rules: { cpu: { for: '5 min' } } }, /rules\.cpu\.for in alerts: expected a duration/],
  [{ rules: { cpu: { warning: 95 } } }, /rules\.cpu\.critical .*beyond that of the warning \(95\)/],
  [{ rules: { cpu: { warning: null, critical: null } } }, /a warning or a critical threshold/],
  [
    { rules: { x: { measure: 'cpu.usgae', warning: 1 } } },
    /rules\.x\.measure .*did you mean cpu\.usage\?/,
  ],
  [
    { rules: { cpu: { overrides: [{ match: {} }] } } },
    /overrides\[0\]\.match .*at least one label/,
  ],
  [{ rules: [] }, /rules in alerts: expected an object, got a list/],
  [{ channels: { a: { type: 'slakc' } } }, /channels\.a\.type .*did you mean slack\?/],
  [
    { channels: { a: { type: 'slack' } } },
    /channels\.a in alerts: expected url, urlFile or urlEnv/,
  ],
  [{ channels: { a: { type: 'slack', url: 'ftp://x' } } }, /http:\/\/ or https:\/\//],
  [{ channels: { a: { type: 'log', url: 'x' } } }, /there is no key "url"/],
  [{ channels: { 'A b': { type: 'log' } } }, /lower-case letters/],
  [
    { channels: { a: { type: 'webhook', urlEnv: 'NOT_SET' } } },
    /environment variable NOT_SET to be set/,
  ],
  [
    { channels: { a: { type: 'email', host: 'h', from: 'x', to: ['a@b'] } } },
    /from .*an e-mail address/,
  ],
  [
    { channels: { a: { type: 'email', host: 'h', from: 'a@b', to: ['a@b\r\nBcc: c@d'] } } },
    /to\[0\] .*an e-mail address/,
  ],
  [
    { channels: { a: { type: 'email', host: 'h', from: 'a@b', to: 'a@b', username: 'u' } } },
    /username and password together/,
  ],
  [{ notifications: { repeat: '1s' } }, /at least 10s/],
  [null, /expected an object, got null/],
])('%j is refused with its place and the nearest right word', (given, message) => {
  expect(() => parseAlertConfig(given)).toThrow(message);
});

test('secrets come from the file, from files beside it or from the environment, and never print', () => {
  const directory = ownDirectory();
  writeFileSync(join(directory, 'slack-url'), 'https://hooks.example/T0/s3cret\n');
  const file = join(directory, 'alerts.json');
  const channels = {
    slack: { type: 'slack', urlFile: 'slack-url' },
    hook: { type: 'webhook', urlEnv: 'HOOK', secret: 's3cret', headers: { 'x-token': 's3cret' } },
    mail: {
      type: 'email',
      host: 'mx',
      from: 'a@b',
      to: ['c@d'],
      username: 'u',
      password: 's3cret',
    },
  };
  writeFileSync(file, JSON.stringify({ channels }));
  const config = loadAlertConfig({ file, environment: { HOOK: 'https://x.example/s3cret' } });
  expect(config.channels.map(({ name }) => name)).toEqual(['slack', 'hook', 'mail']);
  const [slack] = config.channels;
  expect(slack?.type === 'slack' && slack.url.reveal()).toBe('https://hooks.example/T0/s3cret');
  expect(JSON.stringify(config) + inspect(config, { depth: 9 })).not.toContain('s3cret');
});

test('a file that is missing or no JSON is told without its text', () => {
  const directory = ownDirectory();
  const file = join(directory, 'alerts.json');
  expect(() => loadAlertConfig({ file })).toThrow(/can't read the alerts file/);
  writeFileSync(file, '{"channels": s3cret');
  expect(() => loadAlertConfig({ file })).toThrow(/^(?!.*s3cret).*is not JSON/);
});

test('the environment adds channels of its own', () => {
  const config = loadAlertConfig({
    slackUrl: new Secret('https://a/b'),
    webhookUrl: new Secret('https://c/d'),
  });
  expect(config.channels.map(({ name, type }) => `${name}:${type}`)).toEqual([
    'slack:slack',
    'webhook:webhook',
  ]);
});
