/** Questions that people ask of what is stored, by name: of votes [V6], and of the fleet [S3] from a file of its own. */
import { flux, fluxExpression } from './client.ts';
import { fleetTemplates } from './fleet-templates.ts';
import { instant, rollupsFlux } from './flux.ts';
import { type QueryValues, template } from './query-template.ts';
import { type InfluxRollup, readRollup } from './row.ts';
import { ROLLUP_MEASUREMENT, rollupBucket, tagOfPubkey, VOTE_MEASUREMENT } from './schema.ts';

export interface SlowValidator {
  readonly validatorId: string;
  readonly network: string;
  /** Highest of its windows, slots. */
  readonly p99: number;
  readonly votes: number;
}

export interface VoteCount {
  /** Start of the window, ms. */
  readonly start: number;
  readonly network: string;
  readonly votes: number;
}

export interface RawVote {
  readonly timeMs: number;
  readonly validatorId: string;
  readonly voteAccount: string;
  readonly network: string;
  readonly latencySlots: number;
  readonly votedSlot: number;
}

export const queryTemplates = {
  'validator-metrics': template<InfluxRollup>({
    says: 'A validator’s rollups in order of time',
    needs: ['id'],
    flux: ({ id = '', ...rest }) => rollupsFlux({ ...rest, id, scope: 'validator' }),
    read: readRollup,
  }),
  'network-stats': template<InfluxRollup>({
    says: 'A network’s rollups in order of time',
    needs: ['network'],
    flux: ({ network = '', from, to, step }) =>
      rollupsFlux({ scope: 'network', id: network, from, to, step }),
    read: readRollup,
  }),
  'slowest-validators': template<SlowValidator>({
    says: 'Validators by the highest p99 of their windows, slowest first',
    needs: [],
    flux: (values) => flux`import "join"
data = ${rollupsOf(values, 'validator')}
slow = data |> filter(fn: (r) => r._field == "p99") |> group(columns: ["validator_id", "network"]) |> max() |> group()
votes = data |> filter(fn: (r) => r._field == "count") |> group(columns: ["validator_id", "network"]) |> sum() |> group()
join.inner(left: slow, right: votes, on: (l, r) => l.validator_id == r.validator_id and l.network == r.network,
  as: (l, r) => ({validator_id: l.validator_id, network: l.network, p99: l._value, votes: r._value}))
  |> sort(columns: ["p99"], desc: true)
  |> limit(n: ${values.limit})`,
    read: (row) => ({
      validatorId: row.text('validator_id') ?? '',
      network: row.text('network') ?? '',
      p99: row.number('p99') ?? Number.NaN,
      votes: row.number('votes') ?? 0,
    }),
  }),
  'vote-counts': template<VoteCount>({
    says: 'Votes in each window of a network',
    needs: ['network'],
    flux: (values) => flux`${rollupsOf(values, 'network')}
  |> filter(fn: (r) => r._field == "count")
  |> group()
  |> sort(columns: ["_time"])
  |> limit(n: ${values.limit})`,
    read: (row) => ({
      start: row.timeMs('_time') ?? Number.NaN,
      network: row.text('network') ?? '',
      votes: row.number('_value') ?? 0,
    }),
  }),
  'raw-votes': template<RawVote>({
    says: 'A validator’s votes one by one, newest first; they are kept for a day',
    needs: ['id'],
    flux: ({ id = '', network, from, to, limit }) => flux`from(bucket: "vote-latencies-raw")
  |> range(start: ${instant(from)}, stop: ${instant(to)})
  |> filter(fn: (r) => r._measurement == ${VOTE_MEASUREMENT} and r.validator_id == ${tagOfPubkey(id)} and ${ofNetwork(network)})
  |> filter(fn: (r) => r._field == "latency_slots" or r._field == "voted_slot")
  |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")
  |> group()
  |> sort(columns: ["_time"], desc: true)
  |> limit(n: ${limit})`,
    read: (row) => ({
      timeMs: row.timeMs('_time') ?? Number.NaN,
      validatorId: row.text('validator_id') ?? '',
      voteAccount: row.text('vote_account') ?? '',
      network: row.text('network') ?? '',
      latencySlots: row.number('latency_slots') ?? Number.NaN,
      votedSlot: row.number('voted_slot') ?? Number.NaN,
    }),
  }),
  ...fleetTemplates,
} as const;

export type QueryName = keyof typeof queryTemplates;
export type QueryRow<N extends QueryName> = ReturnType<(typeof queryTemplates)[N]['read']>;

const ofNetwork = (network: string | undefined) =>
  network === undefined ? fluxExpression('true') : flux`r.network == ${network}`;

function rollupsOf({ from, to, step, network }: QueryValues, scope: 'validator' | 'network') {
  const ofStep = step === '5m' ? fluxExpression('true') : flux`r.step == ${step}`;
  return flux`from(bucket: ${rollupBucket(step)})
  |> range(start: ${instant(from)}, stop: ${instant(to)})
  |> filter(fn: (r) => r._measurement == ${ROLLUP_MEASUREMENT} and r.scope == ${scope} and ${ofNetwork(network)} and ${ofStep})`;
}
