/**
 * The rollups that must come of a list of votes, computed the plain way: sort nothing, keep everything, follow
 * the contract's sentences one by one. Shares no code with the product.
 */
import { partitionOfKey } from '../../src/broker/index.ts';

interface VoteLike {
  readonly validator: string;
  readonly voteAccount: string;
  readonly network: string;
  readonly votedSlot: number;
  readonly landedSlot: number;
  readonly timestamp: number;
}

export interface ExpectedWindow {
  readonly values: number[];
  sum: number;
  min: number;
  max: number;
  duplicates: number;
}

export interface Expected {
  /** `5m validator:ID START` → window. */
  readonly windows: ReadonlyMap<string, ExpectedWindow>;
  readonly late: number;
}

const FIVE_MINUTES = 300_000;
const GRACE = 30_000;
const TEN_MINUTES = 600_000;
const sizes = { '5m': FIVE_MINUTES, '1h': 3_600_000, '1d': 86_400_000 } as const;

/** As if the input ended after the last vote, so that every window closes. Valid votes only. */
export function expectedRollups(
  votes: readonly { key: string; vote: VoteLike }[],
  partitions: number,
): Expected {
  const windows = new Map<string, ExpectedWindow>();
  const firsts = new Map<string, number>();
  const watermarks = new Array<number>(partitions).fill(Number.NEGATIVE_INFINITY);
  let late = 0;
  for (const { key, vote } of votes) {
    const partition = partitionOfKey(Buffer.from(key), partitions);
    const watermark = Math.max(watermarks[partition] as number, vote.timestamp);
    watermarks[partition] = watermark;
    const identity = `${partition}/${vote.voteAccount}/${vote.votedSlot}`;
    const first = firsts.get(identity);
    if (first !== undefined && Math.abs(vote.timestamp - first) <= TEN_MINUTES) {
      for (const [step, size] of Object.entries(sizes)) {
        const start = Math.floor(first / size) * size;
        if (watermark >= start + size + GRACE) continue;
        for (const scope of [`validator:${vote.validator}`, `network:${vote.network}`]) {
          const window = windows.get(`${step} ${scope} ${start}`);
          if (window !== undefined) window.duplicates++;
        }
      }
      continue;
    }
    firsts.set(identity, vote.timestamp);
    if (
      watermark >=
      Math.floor(vote.timestamp / FIVE_MINUTES) * FIVE_MINUTES + FIVE_MINUTES + GRACE
    ) {
      late++;
      continue;
    }
    const latency = vote.landedSlot - vote.votedSlot;
    for (const [step, size] of Object.entries(sizes)) {
      const start = Math.floor(vote.timestamp / size) * size;
      for (const scope of [`validator:${vote.validator}`, `network:${vote.network}`]) {
        add(windows, `${step} ${scope} ${start}`, latency);
      }
    }
  }
  return { windows, late };
}

function add(windows: Map<string, ExpectedWindow>, id: string, latency: number): void {
  let window = windows.get(id);
  if (window === undefined) {
    window = { values: [], sum: 0, min: latency, max: latency, duplicates: 0 };
    windows.set(id, window);
  }
  window.values.push(latency);
  window.sum += latency;
  window.min = Math.min(window.min, latency);
  window.max = Math.max(window.max, latency);
}

/** How far the rank of `value` among the values is from q; 0 when its tied ranks contain q. */
export function rankError(values: readonly number[], q: number, value: number): number {
  const below = values.filter((v) => v < value).length / values.length;
  const upTo = values.filter((v) => v <= value).length / values.length;
  if (q >= below && q <= upTo) return 0;
  // Between two neighbouring values every place is as good as the nearer one; one rank is 1 / n.
  return Math.max(0, Math.min(Math.abs(q - below), Math.abs(q - upTo)) - 1 / values.length);
}

/** What a stored rollup must have to be compared. */
export interface RollupLike {
  readonly window: { readonly start: number; readonly end: number };
  readonly scope: string;
  readonly id: string;
  readonly count: number;
  readonly sum: number;
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly revision: number;
  readonly lineage: { readonly duplicates: number };
}

const RANK_ERROR_MAX = 0.01;

/**
 * How the rollups differ from what they must be, in short sentences; empty when they don't. Of a window that was
 * given again the last revision counts.
 */
export function rollupFailures(
  found: readonly RollupLike[],
  { windows }: Expected,
): readonly string[] {
  const last = new Map<string, RollupLike>();
  for (const rollup of found) {
    const step = Object.entries(sizes).find(
      ([, size]) => size === rollup.window.end - rollup.window.start,
    )?.[0];
    const id = `${step} ${rollup.scope}:${rollup.id} ${rollup.window.start}`;
    const before = last.get(id);
    if (before === undefined || before.revision < rollup.revision) last.set(id, rollup);
  }
  const failures = [...last.keys()].filter((id) => !windows.has(id)).map((id) => `too much: ${id}`);
  for (const [id, want] of windows) {
    const got = last.get(id);
    if (got === undefined) {
      failures.push(`missing: ${id}`);
      continue;
    }
    const count = want.values.length;
    const { sum, min, max, duplicates } = want;
    const exact = { count, sum, min, max, duplicates };
    const numbers = { ...got, duplicates: got.lineage.duplicates };
    for (const [name, value] of Object.entries(exact)) {
      const other = numbers[name as keyof typeof exact];
      if (other !== value) failures.push(`${id}: ${name} is ${other} instead of ${value}`);
    }
    if (Math.abs(got.mean - sum / count) > 1e-9) failures.push(`${id}: mean is ${got.mean}`);
    for (const [q, value] of [
      [0.5, got.p50],
      [0.95, got.p95],
      [0.99, got.p99],
    ] as const) {
      const error = rankError(want.values, q, value);
      if (error > RANK_ERROR_MAX)
        failures.push(`${id}: p${q * 100} is ${value}, rank error ${error}`);
    }
  }
  return failures.length > 8
    ? [...failures.slice(0, 8), `… ${failures.length} failures`]
    : failures;
}
