/** A fleet and annotations as the service sees them: two hosts, one series, what was noted. */
import type { Annotation, AnnotationsPort, FleetHost, FleetPort } from '../../src/api/index.ts';
import { FatalError } from '../../src/model/index.ts';

const host = (name: string): FleetHost => ({
  host: name,
  region: 'eu-1',
  environment: 'production',
  lastSeen: 1_700_000_000_000,
  latest: [
    {
      metricType: 'cpu',
      tags: {},
      timestamp: 1_700_000_000_000,
      fields: { usage_percent: 12.5 },
    },
  ],
  status: 'up',
  ageMs: 10,
});

export function fakeFleet(asked: unknown[]): FleetPort {
  return {
    hosts: async () => [host('a'), host('b')],
    host: async (name) => (name === 'a' ? host('a') : undefined),
    async series(query) {
      asked.push(query);
      return [{ host: 'a', metricType: 'cpu', field: 'usage_percent', tags: {}, points: [] }];
    },
    async anomalies(query) {
      asked.push(query);
      return [];
    },
    async forecast(query) {
      asked.push(query);
      if (query.host !== 'a') return undefined;
      if (query.tags?.mount === undefined) {
        throw new FatalError('used_percent of a is 2 series', { code: 'AMBIGUOUS_SERIES' });
      }
      return {
        host: 'a',
        metricType: 'disk',
        field: query.field,
        tags: { mount: '/' },
        model: null,
        reason: '6 hours are needed',
        capacity: query.capacity,
        confidence: query.confidence,
        history: { windows: 0, from: null, to: null },
        points: [],
        fullAt: { expected: null, earliest: null, latest: null },
      };
    },
  };
}

export function fakeAnnotations(): AnnotationsPort {
  const all = new Map<string, Annotation>();
  return {
    list: async () => [...all.values()],
    async add(draft) {
      const made = { id: `n${all.size + 1}`, ...draft, createdAt: 1_700_000_000_000 };
      all.set(made.id, made);
      return made;
    },
    async remove(id) {
      const found = all.get(id);
      all.delete(id);
      return found;
    },
  };
}
