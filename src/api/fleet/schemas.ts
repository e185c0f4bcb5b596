/** Shapes of the fleet's routes: what may be asked, what is answered. */
import { metricTypes } from '../../model/index.ts';
import { Type } from '../../runtime/index.ts';
import { nullable } from '../schemas.ts';
import type { FleetDetector, FleetStep, HostStatus } from './port.ts';

const tags = Type.Unsafe<Record<string, string>>({
  type: 'object',
  additionalProperties: { type: 'string' },
  description: 'What the reading is of: {"mount":"/"}, {"interface":"eth0"}.',
});
const numbers = Type.Unsafe<Record<string, number>>({
  type: 'object',
  additionalProperties: { type: 'number' },
});
const metricType = Type.Unsafe<(typeof metricTypes)[number]>({
  type: 'string',
  enum: [...metricTypes],
});
const window = Type.Object({
  start: Type.Integer({ description: 'ms, inclusive' }),
  end: Type.Integer({ description: 'ms, exclusive' }),
});
const series = { host: Type.String(), metricType, field: Type.String(), tags };
const place = {
  region: Type.String(),
  environment: Type.String(),
  service: Type.Optional(Type.String()),
};

const hostProperties = {
  host: Type.String(),
  ...place,
  status: Type.Unsafe<HostStatus>({
    type: 'string',
    enum: ['up', 'stale', 'down'],
    description: 'up: seen within 30 s; stale: within 5 min; down: longer ago.',
  }),
  lastSeen: Type.Integer({ description: 'ms, event time of the newest reading' }),
  ageMs: Type.Integer(),
  latest: Type.Array(
    Type.Object({ metricType, tags, timestamp: Type.Integer(), fields: numbers }),
    { description: 'Newest reading of each metric type and tags.' },
  ),
};
export const HostShape = Type.Object(hostProperties);

export const SeriesShape = Type.Object({
  ...series,
  points: Type.Array(
    Type.Object({
      window,
      count: Type.Integer(),
      sum: Type.Number(),
      min: Type.Number(),
      max: Type.Number(),
      mean: Type.Number(),
      stddev: Type.Number({ description: 'population' }),
      p50: Type.Number(),
      p95: Type.Number(),
      p99: Type.Number(),
      revision: Type.Integer(),
      final: Type.Boolean({ description: 'false while readings may still change it' }),
    }),
  ),
});

export const HostWithSeriesShape = Type.Object({
  ...hostProperties,
  series: Type.Array(SeriesShape),
});

export const AnomalyShape = Type.Object({
  ...series,
  ...place,
  window,
  value: Type.Number({ description: 'mean of the window' }),
  score: Type.Number({ description: 'From 0.5, where an alarm is due, to 1.' }),
  detector: Type.String(),
});

export const ForecastShape = Type.Object({
  ...series,
  model: Type.Unsafe<'holt-winters' | 'trend' | null>({
    type: ['string', 'null'],
    enum: ['holt-winters', 'trend', null],
    description: 'trend: a straight line, where less than two days are stored; null: see reason.',
  }),
  reason: nullable({ type: 'string' }, 'Why there is no forecast.'),
  capacity: Type.Number(),
  confidence: Type.Number(),
  history: Type.Object({
    windows: Type.Integer({ description: 'hourly means' }),
    from: nullable({ type: 'integer' }, 'ms'),
    to: nullable({ type: 'integer' }, 'ms'),
  }),
  points: Type.Array(
    Type.Object({
      timestamp: Type.Integer({ description: 'ms, start of an hour' }),
      mean: Type.Number(),
      lower: Type.Number(),
      upper: Type.Number(),
    }),
  ),
  fullAt: Type.Object(
    {
      expected: nullable({ type: 'integer' }, 'ms, by the mean'),
      earliest: nullable({ type: 'integer' }, 'ms, by the upper bound'),
      latest: nullable({ type: 'integer' }, 'ms, by the lower bound'),
    },
    { description: 'When the capacity is reached; null: not within the horizon.' },
  ),
});

export const stepParameter = Type.Unsafe<FleetStep>({
  type: 'string',
  enum: ['5m', '1h', '1d'],
  default: '5m',
});
export const detectorParameter = Type.Unsafe<FleetDetector>({
  type: 'string',
  enum: ['records', 'z-score'],
  default: 'records',
  description:
    'records: found in the stream, by records and surges; z-score: more than 2σ from the mean of a trailing window.',
});

/** Which of a host's series. */
export const seriesParameters = {
  metricType: Type.Optional(metricType),
  mount: Type.Optional(Type.String({ description: 'Only with this tag mount.' })),
  interface: Type.Optional(Type.String({ description: 'Only with this tag interface.' })),
  tag: Type.Optional(
    Type.Unsafe<string | string[]>({
      type: ['string', 'array'],
      items: { type: 'string' },
      maxItems: 16,
      description: 'name:value, may be repeated.',
    }),
  ),
};
