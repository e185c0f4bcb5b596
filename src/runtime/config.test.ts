import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { TidemarkError } from '../model/index.ts';
import { isLoopback, knownSettings, type LoadOptions, loadSettings } from './config.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tidemark-config-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const write = (name: string, content: unknown) =>
  writeFileSync(
    join(directory, name),
    typeof content === 'string' ? content : JSON.stringify(content),
  );
const load = (options: LoadOptions = {}) =>
  loadSettings({ environment: {}, directory, ...options });
const origin = (loaded: ReturnType<typeof load>, path: string) =>
  loaded.values.find(({ setting }) => setting.path === path)?.origin;

function refusal(run: () => unknown): { code: string; message: string } {
  try {
    run();
  } catch (error) {
    if (error instanceof TidemarkError) return { code: error.code, message: error.message };
    throw error;
  }
  throw new Error('nothing was refused');
}

test('without file, environment or flags every setting has its default', () => {
  const { settings, warnings, values } = load();
  expect(settings).toMatchObject({
    data: './.tidemark',
    host: '127.0.0.1',
    port: 8080,
    tokens: [],
    kafka: { brokers: [], tls: { enabled: false } },
    influx: { batchSize: 5000, flushIntervalMs: 100, compression: true },
    cassandra: { keyspace: 'kairosdb' },
    sinks: { backoffBaseMs: 5000, backoffCapMs: 300_000, healthCheckIntervalMs: 14_400_000 },
  });
  expect('url' in settings.influx).toBe(false);
  expect(warnings).toEqual([]);
  expect(new Set(values.map((value) => value.origin))).toEqual(new Set(['default']));
});

test('flags win over secret files, those over environment, that over file, that over defaults', () => {
  write('tidemark.config.json', {
    port: 1,
    data: 'from-file',
    logLevel: 'warn',
    influx: { url: 'http://file:1', org: 'file', token: 'file-token' },
  });
  write('token', 'secret-file-token\n');
  const loaded = load({
    environment: {
      TIDEMARK_PORT: '2',
      TIDEMARK_DATA: 'from-environment',
      INFLUX_TOKEN: 'environment-token',
      INFLUX_TOKEN_FILE: 'token',
    },
    flags: { port: '3', host: undefined },
  });
  const { settings } = loaded;
  expect(settings.port).toBe(3);
  expect(settings.data).toBe('from-environment');
  expect(settings.logLevel).toBe('warn');
  expect(settings.host).toBe('127.0.0.1');
  expect(settings.influx.token?.reveal()).toBe('secret-file-token');
  expect(origin(loaded, 'port')).toBe('flag --port');
  expect(origin(loaded, 'data')).toBe('environment TIDEMARK_DATA');
  expect(origin(loaded, 'logLevel')).toBe('file tidemark.config.json');
  expect(origin(loaded, 'influx.token')).toBe('environment INFLUX_TOKEN_FILE');
  expect(origin(loaded, 'host')).toBe('default');
});

test('the file is named by --config before TIDEMARK_CONFIG before the default', () => {
  write('tidemark.config.json', { port: 1 });
  write('a.json', { port: 2 });
  write('b.json', { port: 3 });
  const environment = { TIDEMARK_CONFIG: 'a.json' };
  expect(load().settings.port).toBe(1);
  expect(load({ environment }).settings.port).toBe(2);
  expect(load({ environment, configFile: 'b.json' }).settings.port).toBe(3);
});

test('the environment names of the contract are read', () => {
  const { settings } = load({
    environment: {
      KAFKA_BROKERS: 'a:9092, b:9092',
      KAFKA_SASL_MECHANISM: 'scram-sha-256',
      KAFKA_SASL_USERNAME: 'me',
      KAFKA_SASL_PASSWORD: 'pass',
      KAFKA_TLS: 'true',
      KAFKA_TLS_CA: '/ca.pem',
      INFLUX_URL: 'http://influx:8086',
      INFLUX_ORG: 'org',
      INFLUX_TOKEN: 'token',
      CASSANDRA_HOSTS: 'c1,c2',
      CASSANDRA_DC: 'dc1',
      CASSANDRA_KEYSPACE: 'other',
      TIDEMARK_DATA: '/data',
      TIDEMARK_PORT: '9',
      TIDEMARK_TOKENS: 'one,two',
      LOG_LEVEL: 'debug',
      SINK_BACKOFF_BASE_MS: '10',
    },
  });
  expect(settings.kafka.brokers).toEqual(['a:9092', 'b:9092']);
  expect(settings.kafka.sasl.mechanism).toBe('scram-sha-256');
  expect(settings.kafka.sasl.password?.reveal()).toBe('pass');
  expect(settings.kafka.tls).toEqual({ enabled: true, ca: '/ca.pem' });
  expect(settings.cassandra).toMatchObject({ hosts: ['c1', 'c2'], datacenter: 'dc1' });
  expect(settings.tokens.map((token) => token.reveal())).toEqual(['one', 'two']);
  expect(settings).toMatchObject({ data: '/data', port: 9, logLevel: 'debug' });
  expect(settings.sinks.backoffBaseMs).toBe(10);
});

test('an unknown key in the file is refused with the nearest known one', () => {
  write('tidemark.config.json', { kafka: { broker: ['x'] } });
  const { code, message } = refusal(load);
  expect(code).toBe('CONFIG_UNKNOWN_KEY');
  expect(message).toContain('"kafka.broker"');
  expect(message).toContain('did you mean kafka.brokers?');
  expect(message).toContain('tidemark.config.json');
});

test.each([
  [{ TIDEMARK_PORT: 'http' }, 'TIDEMARK_PORT: expected a whole number from 0 to 65535, got "http"'],
  [{ TIDEMARK_PORT: '65536' }, 'TIDEMARK_PORT'],
  [{ TIDEMARK_PORT: '1.5' }, 'TIDEMARK_PORT'],
  [{ KAFKA_TLS: 'maybe' }, 'KAFKA_TLS: expected true or false'],
  [{ LOG_LEVEL: 'inf' }, 'did you mean info?'],
  [{ TIDEMARK_ROLES: 'engine,sink' }, 'did you mean sinks?'],
  [{ TIDEMARK_CORS_ORIGINS: 'http://a:3000,http://b/' }, 'got "http://b/"'],
  [{ TIDEMARK_CORS_ORIGINS: 'grafana.example' }, 'http.corsOrigins: expected origins such as'],
  [{ KAFKA_SASL_MECHANISM: 'plain' }, 'set KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD too'],
  [{ KAFKA_SASL_PASSWORD: 'x' }, 'set KAFKA_SASL_MECHANISM too'],
  [{ INFLUX_URL: 'http://i:1' }, 'set INFLUX_ORG too'],
  [{ INFLUX_URL: 'http://i:1', INFLUX_ORG: 'o' }, 'set INFLUX_TOKEN too'],
  [{ INFLUX_URL: 'nonsense' }, 'influx.url'],
  [
    { TIDEMARK_HISTORY_PRIMARY: 'influx' },
    'TIDEMARK_HISTORY_PRIMARY is influx: set INFLUX_URL too',
  ],
  [
    { TIDEMARK_HISTORY_FALLBACK: 'influx' },
    'TIDEMARK_HISTORY_FALLBACK is influx: set INFLUX_URL too',
  ],
  [
    { TIDEMARK_HISTORY_FALLBACK: 'embedded' },
    'TIDEMARK_HISTORY_FALLBACK: expected none, or another store than the primary, embedded',
  ],
  [{ TIDEMARK_HISTORY_PRIMARY: 'inflx' }, 'did you mean influx?'],
  [{ CASSANDRA_USERNAME: 'x' }, 'CASSANDRA_PASSWORD'],
  [{ SINK_BACKOFF_BASE_MS: '10', SINK_BACKOFF_CAP_MS: '9' }, 'sinks.backoffCapMs'],
])('%j is refused by name', (environment, expected) => {
  const { code, message } = refusal(() => load({ environment }));
  expect(code).toBe('CONFIG_INVALID');
  expect(message).toContain(expected);
});

test.each(['{"port":', '[]', '"text"', 'null'])('a file of %s is refused', (content) => {
  write('tidemark.config.json', content);
  expect(refusal(load).code).toBe('CONFIG_UNREADABLE');
});

test('a file that was named but is absent is refused, and so is an absent secret file', () => {
  expect(refusal(() => load({ configFile: 'gone.json' })).message).toContain('gone.json');
  expect(refusal(() => load({ environment: { INFLUX_TOKEN_FILE: 'gone' } })).message).toContain(
    'INFLUX_TOKEN_FILE',
  );
});

test('a section given as a text is refused', () => {
  write('tidemark.config.json', { kafka: 'localhost:9092' });
  expect(refusal(load).message).toContain('kafka in tidemark.config.json: expected an object');
});

test('secrets show in neither settings, values nor refusals', () => {
  write('tidemark.config.json', '{"influx":{"token":"hush-hush"');
  expect(refusal(load).message).not.toContain('hush');
  write('tidemark.config.json', { influx: { token: ['hush-hush'] } });
  expect(refusal(load).message).not.toContain('hush');
  write('tidemark.config.json', { influx: { token: 'hush-hush' }, tokens: ['hush-two'] });
  const loaded = load();
  expect(JSON.stringify(loaded) + inspect(loaded, { depth: 9 })).not.toContain('hush');
  expect(loaded.settings.tokens[0]?.reveal()).toBe('hush-two');
});

test('a mistyped environment name of ours is warned of, others are none of our business', () => {
  const environment = { INFLUX_TOKN: 'x', KAFKA_HOME: '/opt', PORT: '1', TIDEMARK_CONFIG: '' };
  expect(load({ environment }).warnings).toEqual([
    'INFLUX_TOKN is no setting and has no effect: did you mean INFLUX_TOKEN?',
  ]);
});

test('taking points into an embedded log that nobody drains is warned of', () => {
  const warningsOf = (roles: string, environment = {}) =>
    load({ flags: { roles }, environment }).warnings.join();
  expect(warningsOf('ingest,query')).toContain('add the role sinks');
  expect(warningsOf('ingest,sinks')).toBe('');
  expect(warningsOf('ingest', { KAFKA_BROKERS: 'k:9092' })).toBe('');
});

test('listening to others without tokens is warned of', () => {
  const open = load({ flags: { host: '0.0.0.0' } });
  expect(open.warnings.join()).toContain('set TIDEMARK_TOKENS');
  expect(load({ flags: { host: '0.0.0.0', tokens: 'a' } }).warnings).toEqual([]);
  expect(load({ flags: { host: '0.0.0.0', roles: 'engine' } }).warnings).toEqual([]);
  for (const roles of ['ingest,sinks', 'query']) {
    expect(load({ flags: { host: '0.0.0.0', roles } }).warnings).toHaveLength(1);
  }
  for (const host of ['127.0.0.1', '127.8.8.8', '::1', 'localhost'])
    expect(isLoopback(host)).toBe(true);
  for (const host of ['0.0.0.0', '::', '10.0.0.1', '127.0.0.1.example.com']) {
    expect(isLoopback(host)).toBe(false);
  }
});

test('every setting has a sentence, a default or leave to be absent, and its own environment name', () => {
  const names = knownSettings().map((setting) => setting.environment);
  expect(new Set(names).size).toBe(names.length);
  for (const setting of knownSettings()) {
    expect(setting.description, setting.path).toMatch(/^[A-Z].*\.$/);
    if (setting.type === 'integer' && !/(?:^|\.)port$/.test(setting.path)) {
      expect(setting.unit, setting.path).toBeTruthy();
    }
    if (setting.path.endsWith('Ms')) expect(setting.unit).toBe('ms');
  }
});

test('whatever JSON the file holds, loading succeeds or refuses with a code', {
  tags: 'heavy',
}, () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.dictionary(
          fc.constantFrom('port', 'kafka', 'influx', 'tokens', '__proto__'),
          fc.jsonValue(),
        ),
        fc.jsonValue(),
      ),
      (content) => {
        write('tidemark.config.json', content);
        try {
          load();
        } catch (error) {
          expect(error).toBeInstanceOf(TidemarkError);
        }
      },
    ),
    { numRuns: 200 },
  );
});
