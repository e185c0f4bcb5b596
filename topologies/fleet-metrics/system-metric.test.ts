import { expect, test } from 'vitest';
import { metricOf, systemMetricCodec } from './system-metric.ts';

const good = {
  host: 'web-1',
  region: 'eu-1',
  environment: 'production',
  metricType: 'disk',
  timestamp: 1_732_147_200_000,
  tags: { mount: '/', device: 'sda1' },
  fields: { used_percent: 41.5, free_bytes: 12 },
};

test('a reading keeps its open map of numbers, and its tags in whatever order are one identity', () => {
  const row = metricOf(good);
  expect(row.fields).toEqual(good.fields);
  const turned = metricOf({ ...good, tags: { device: 'sda1', mount: '/' } });
  expect(turned.reading).toBe(row.reading);
  expect(JSON.parse(String(systemMetricCodec.encode(row)))).toEqual(good);
});

test.each([
  ['no object', [1], /JSON object/],
  ['no host', { ...good, host: undefined }, /host: expected text/],
  ['an empty region', { ...good, region: '' }, /region: expected text/],
  ['another type', { ...good, metricType: 'gpu' }, /cpu, memory, disk, network, process/],
  ['a time that is text', { ...good, timestamp: '2024' }, /timestamp: expected milliseconds/],
  ['no fields', { ...good, fields: {} }, /fields: expected at least one number/],
  [
    'a field that is no number',
    { ...good, fields: { a: '1' } },
    /fields.a: expected a finite number, got "1"/,
  ],
  ['a tag that is no text', { ...good, tags: { mount: 1 } }, /tags.mount: expected text/],
  ['half a surrogate pair', { ...good, host: '\ud800' }, /host: expected text/],
  ['a control character', { ...good, host: 'a\u001fb' }, /host: expected text/],
])('%s is FIELD_INVALID and says what was expected', (_, value, message) => {
  expect(() => metricOf(value)).toThrow(expect.objectContaining({ code: 'FIELD_INVALID' }));
  expect(() => metricOf(value)).toThrow(message);
});
