/** From a series' stored hours to the forecast that the service answers with. */
import type { FleetForecast, FleetForecastQuery, FleetSeries } from '../api/index.ts';
import { hours } from '../model/index.ts';
import { forecastCapacity } from '../stats/index.ts';

const HOUR_MS = hours(1);
/** A longer hole is not bridged: what lies before it tells of another time. */
const GAP_HOURS_MAX = 24;

export function capacityForecast(
  { points, ...series }: FleetSeries,
  query: Pick<FleetForecastQuery, 'horizonMs' | 'capacity' | 'confidence'>,
): FleetForecast {
  const { capacity, confidence } = query;
  const stored = points.filter(({ final, mean }) => final && Number.isFinite(mean));
  const { from, to, values } = withoutGaps(
    stored.map(({ window, mean }) => ({ start: window.start, mean })),
  );
  const horizon = Math.max(1, Math.floor(query.horizonMs / HOUR_MS));
  const found = forecastCapacity(values, { horizon, capacity, confidence });
  const timeOf = (steps: number | null) =>
    steps === null ? null : (to ?? 0) + steps * HOUR_MS - HOUR_MS;
  return {
    ...series,
    model: found.model,
    reason: found.reason,
    capacity,
    confidence,
    history: { windows: values.length, from, to },
    points: Array.from(found.mean, (mean, i) => ({
      timestamp: (to ?? 0) + i * HOUR_MS,
      mean,
      lower: found.lower[i] as number,
      upper: found.upper[i] as number,
    })),
    fullAt: {
      expected: timeOf(found.fullIn.expected),
      earliest: timeOf(found.fullIn.earliest),
      latest: timeOf(found.fullIn.latest),
    },
  };
}

interface Hourly {
  readonly from: number | null;
  /** Where the first hour of a forecast begins. */
  readonly to: number | null;
  readonly values: readonly number[];
}

/** Hours since the last long hole, oldest first; shorter holes are filled along a straight line. */
function withoutGaps(hourly: readonly { readonly start: number; readonly mean: number }[]): Hourly {
  let values: number[] = [];
  let from: number | null = null;
  let before: { readonly start: number; readonly mean: number } | undefined;
  for (const hour of hourly) {
    const steps = before === undefined ? 1 : Math.round((hour.start - before.start) / HOUR_MS);
    if (before === undefined || steps > GAP_HOURS_MAX) {
      values = [];
      from = hour.start;
    } else {
      for (let i = 1; i < steps; i++)
        values.push(before.mean + ((hour.mean - before.mean) * i) / steps);
    }
    values.push(hour.mean);
    before = hour;
  }
  return { from, to: before === undefined ? null : before.start + HOUR_MS, values };
}
