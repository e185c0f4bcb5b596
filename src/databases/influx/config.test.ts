import { expect, test } from 'vitest';
import { influxConfig } from './config.ts';

const good = { url: 'http://127.0.0.1:8086/', org: 'org', token: 'secret-token' };

test('a trailing slash is dropped, a path before it is kept, gzip is on', () => {
  expect(influxConfig(good)).toEqual({ ...good, url: 'http://127.0.0.1:8086', gzip: true });
  expect(influxConfig({ ...good, url: 'https://proxy/influx/' }).url).toBe('https://proxy/influx');
});

test.each([
  [{ url: '127.0.0.1:8086' }, 'INFLUX_URL'],
  [{ url: 'ftp://host' }, 'INFLUX_URL'],
  [{ url: 'http://me:hidden@host' }, 'INFLUX_URL'],
  [{ org: '' }, 'INFLUX_ORG'],
  [{ token: '' }, 'INFLUX_TOKEN'],
  [{ token: 'secret-token\n' }, 'INFLUX_TOKEN'],
])('%j is refused by the name of its variable, without its value', (changes, variable) => {
  let message = '';
  try {
    influxConfig({ ...good, ...changes });
  } catch (error) {
    message = (error as Error).message;
  }
  expect(message).toContain(variable);
  expect(message).not.toMatch(/secret|hidden/);
});
