import { expect, test } from 'vitest';
import type { SystemMetric } from '../../src/model/index.ts';
import { metricDataPoints } from './fleet-series.ts';

const reading: SystemMetric = {
  host: 'web-1',
  region: 'eu',
  environment: 'production',
  metricType: 'disk',
  timestamp: 1_732_147_200_123,
  tags: { device: 'sda' },
  fields: { usage_percent: 41.5 },
};

const tagsOf = (metric: SystemMetric) => metricDataPoints(metric)[0]?.tags;

test('all points of a series have one tags object, in whatever order its tags came', () => {
  const tags = { device: 'sda', mount: '/' };
  const turned = { mount: '/', device: 'sda' };
  expect(tagsOf({ ...reading, timestamp: 1, tags })).toBe(tagsOf({ ...reading, tags: turned }));
});

test('what differs in anything has tags of its own', () => {
  const others: SystemMetric[] = [
    { ...reading, region: 'us' },
    { ...reading, environment: 'test' },
    { ...reading, service: 'shop' },
    { ...reading, metricType: 'cpu' },
    { ...reading, tags: { device: 'sdb' } },
    // The same text, if names were only put one after another.
    { ...reading, host: 'web-1","disk', region: 'eu' },
  ];
  for (const other of others) {
    const { host, region, environment, service, metricType, tags } = other;
    expect(tagsOf(other)).toEqual({
      ...tags,
      host,
      region,
      environment,
      ...(service === undefined ? {} : { service }),
      metric_type: metricType,
    });
  }
  expect(new Set([reading, ...others].map(tagsOf)).size).toBe(others.length + 1);
});
