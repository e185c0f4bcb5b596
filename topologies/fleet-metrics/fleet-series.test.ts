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

test('the tags of a reading’s points are its own and those it brought', () => {
  const others: SystemMetric[] = [
    { ...reading, region: 'us' },
    { ...reading, environment: 'test' },
    { ...reading, service: 'shop' },
    { ...reading, metricType: 'cpu' },
    { ...reading, tags: { device: 'sdb' } },
    { ...reading, host: 'web-1","disk', region: 'eu' },
  ];
  for (const other of [reading, ...others]) {
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
});
