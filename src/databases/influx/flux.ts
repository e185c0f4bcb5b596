/** The query templates: Flux with every value escaped by the client library's tagged template. */
import type { ParameterizedQuery } from '@influxdata/influxdb-client';
import { flux, fluxExpression, influxClient } from './client.ts';
import { ROLLUP_MEASUREMENT, type RollupStep, rollupBucket, tagOfPubkey } from './schema.ts';

export interface RollupQuery {
  readonly scope: 'validator' | 'network';
  /** Full pubkey (or its first 8 characters) of a validator, or a network's name. */
  readonly id: string;
  /** Narrows a validator to one network. */
  readonly network?: string;
  readonly step: RollupStep;
  /** Half-open on window starts, ms since the epoch. */
  readonly from: number;
  readonly to: number;
}

/** Rollups of one validator or network, one row per window with all statistics, in order of time. */
export function rollupsFlux(query: RollupQuery): ParameterizedQuery {
  const { scope, id, network, step, from, to } = query;
  const ofScope =
    scope === 'validator' ? flux`r.validator_id == ${tagOfPubkey(id)}` : flux`r.network == ${id}`;
  const ofNetwork = network === undefined ? fluxExpression('true') : flux`r.network == ${network}`;
  const ofStep = step === '5m' ? fluxExpression('true') : flux`r.step == ${step}`;
  return flux`from(bucket: ${rollupBucket(step)})
  |> range(start: ${instant(from)}, stop: ${instant(to)})
  |> filter(fn: (r) => r._measurement == ${ROLLUP_MEASUREMENT} and r.scope == ${scope} and ${ofScope} and ${ofNetwork} and ${ofStep})
  |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")
  |> group()
  |> sort(columns: ["_time"])`;
}

/** The server's time ends here on both sides, ms (int64 of ns). */
const INSTANT_MS_MAX = 9_223_372_036_854;

/** A time as Flux has it, moved to where the server's time ends. */
export function instant(ms: number) {
  const within = Math.min(Math.max(ms, -INSTANT_MS_MAX), INSTANT_MS_MAX);
  return influxClient().fluxDateTime(new Date(within).toISOString());
}
