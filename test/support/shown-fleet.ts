/** A fleet of three hosts and a place for annotations, in memory, for tests of what shows them. */
import type {
  Annotation,
  AnnotationsPort,
  FleetForecast,
  FleetHost,
  FleetPort,
  FleetSeries,
} from '../../src/api/index.ts';

const MINUTE_MS = 60_000;

function fakeHost(
  host: string,
  cpu: number,
  nowMs: number,
  status: FleetHost['status'],
): FleetHost {
  const reading = (
    metricType: FleetHost['latest'][number]['metricType'],
    fields: Record<string, number>,
    tags: Record<string, string> = {},
  ) => ({ metricType, tags, timestamp: nowMs, fields });
  return {
    host,
    region: 'eu',
    environment: 'test',
    status,
    lastSeen: nowMs,
    ageMs: status === 'up' ? 1_000 : 400_000,
    latest: [
      reading('cpu', { usage_percent: cpu }),
      reading('memory', { used_percent: 41 }),
      reading('disk', { used_percent: 83 }, { mount: '/' }),
    ],
  };
}

export function shownFleet(nowMs: number): FleetPort {
  const hosts = [
    fakeHost('alpha', 12.5, nowMs, 'up'),
    fakeHost('beta', 93, nowMs, 'up'),
    fakeHost('gamma', 3, nowMs, 'down'),
  ];
  const points = (base: number): FleetSeries['points'] =>
    Array.from({ length: 10 }, (_, i) => {
      const start = nowMs - (50 - 5 * i) * MINUTE_MS;
      const figures = {
        count: 30,
        sum: base * 30,
        min: base - 1,
        max: base + 1,
        mean: base,
        stddev: 1,
      };
      const window = { start, end: start + 5 * MINUTE_MS };
      return { window, ...figures, p50: base, p95: base, p99: base, revision: 0, final: true };
    });
  const forecast: FleetForecast = {
    host: 'alpha',
    metricType: 'disk',
    field: 'used_percent',
    tags: { mount: '/' },
    model: 'trend',
    reason: null,
    capacity: 100,
    confidence: 0.95,
    history: { windows: 48, from: nowMs - 48 * 60 * MINUTE_MS, to: nowMs },
    points: [1, 2, 3].map((i) => ({
      timestamp: nowMs + i * 60 * MINUTE_MS,
      mean: 83 + i,
      lower: 82 + i,
      upper: 84 + i,
    })),
    fullAt: {
      expected: Date.parse('2031-05-06T12:00:00Z'),
      earliest: Date.parse('2031-05-01T12:00:00Z'),
      latest: Date.parse('2031-05-12T12:00:00Z'),
    },
  };
  return {
    hosts: async () => hosts,
    host: async (name) => hosts.find(({ host }) => host === name),
    series: async ({ hosts: names, field, metricType }) =>
      (names ?? hosts.map(({ host }) => host)).map((host) => ({
        host,
        metricType: metricType ?? 'cpu',
        field: field ?? 'usage_percent',
        tags: {},
        points: points(host === 'beta' ? 93 : 12.5),
      })),
    anomalies: async () => [
      {
        host: 'beta',
        metricType: 'cpu',
        field: 'usage_percent',
        tags: {},
        region: 'eu',
        environment: 'test',
        window: { start: nowMs - 5 * MINUTE_MS, end: nowMs },
        value: 93,
        score: 0.91,
        detector: 'records',
      },
    ],
    forecast: async ({ host }) =>
      host === 'alpha'
        ? forecast
        : { ...forecast, host, model: null, reason: 'there are only 3 hours of it', points: [] },
  };
}

export function shownAnnotations(): AnnotationsPort {
  const kept = new Map<string, Annotation>();
  return {
    list: async () => [...kept.values()],
    async add(draft) {
      const annotation = { ...draft, id: `n${kept.size + 1}`, createdAt: draft.time };
      kept.set(annotation.id, annotation);
      return annotation;
    },
    async remove(id) {
      const found = kept.get(id);
      kept.delete(id);
      return found;
    },
  };
}
