/**
 * History as InfluxDB has it: rollups without sum, digest, revision and lineage. It knows a validator by the first
 * eight characters of its pubkey only, so windows that stand there twice belong to two validators and
 * are refused. While the server is away it is asked once in a while, so that nobody waits for its timeout.
 */
import type { HistoryPoint, HistoryQuery } from '../api/index.ts';
import type { InfluxReader, InfluxRollup } from '../databases/influx/index.ts';
import { Breaker } from '../delivery/index.ts';
import {
  days,
  FatalError,
  hours,
  messageOf,
  minutes,
  RetriableError,
  TidemarkError,
} from '../model/index.ts';
import type { Clock } from '../runtime/index.ts';
import type { HistoryStore } from './history-store.ts';

/** InfluxDB counts as away after so many questions in a row without an answer. */
const FAILURES_MAX = 3;
const OPEN_MS = 5_000;
/** Faults of the question or of what is stored, which say nothing about whether the server answers. */
const NOT_AWAY: ReadonlySet<string> = new Set(['QUERY_TOO_LARGE', 'RANGE_INVALID']);
const LENGTH_MS = { '5m': minutes(5), '1h': hours(1), '1d': days(1) } as const;

export class InfluxHistory implements HistoryStore {
  readonly name = 'influx';
  readonly #reader: Pick<InfluxReader, 'rollups'>;
  readonly #clock: Clock;
  readonly #breaker = new Breaker(FAILURES_MAX);
  #isProbing = false;
  #lastFailure = '';

  constructor(reader: Pick<InfluxReader, 'rollups'>, clock: Clock) {
    this.#reader = reader;
    this.#clock = clock;
  }

  /** Rejects as `InfluxReader.rollups` does, with HISTORY_STORE_AWAY unasked, or with HISTORY_INVALID. */
  async points(query: HistoryQuery): Promise<readonly HistoryPoint[]> {
    // A validator may vote on several networks; the embedded store tells them in this order too.
    const rollups = (await this.#ask(query)).toSorted(
      (a, b) => a.start - b.start || (a.network < b.network ? -1 : 1),
    );
    for (const [i, { start, network }] of rollups.entries()) {
      const next = rollups[i + 1];
      if (next?.start === start && next.network === network) {
        throw invalid(query, start, 'stands there twice: two share its first eight characters');
      }
    }
    return rollups.map((rollup) => pointOf(rollup, query));
  }

  async #ask(query: HistoryQuery): Promise<readonly InfluxRollup[]> {
    const breaker = this.#breaker;
    if (!breaker.mayPass(this.#clock.now()) || this.#isProbing) {
      throw new RetriableError(`InfluxDB is not asked for now: ${this.#lastFailure}`, {
        code: 'HISTORY_STORE_AWAY',
        retryAfterMs: Math.max(0, breaker.retryAtMs - this.#clock.now()),
      });
    }
    const isProbe = breaker.state === 'half-open';
    if (isProbe) this.#isProbing = true;
    try {
      const rollups = await this.#reader.rollups(query);
      breaker.succeeded();
      return rollups;
    } catch (error) {
      if (error instanceof TidemarkError && NOT_AWAY.has(error.code)) {
        breaker.succeeded();
      } else {
        this.#lastFailure = messageOf(error);
        breaker.failed(this.#clock.now() + OPEN_MS);
      }
      throw error;
    } finally {
      if (isProbe) this.#isProbing = false;
    }
  }
}

function pointOf(rollup: InfluxRollup, query: HistoryQuery): HistoryPoint {
  const { start, count, min, max, mean, stddev, p50, p95, p99, movingAverage } = rollup;
  const figures = { count, min, max, mean, stddev, p50, p95, p99, movingAverage };
  for (const [name, value] of Object.entries(figures)) {
    if (!Number.isFinite(value)) throw invalid(query, start, `has no ${name}`);
  }
  return { window: { start, end: start + LENGTH_MS[query.step] }, ...figures };
}

function invalid({ scope, id, step }: HistoryQuery, start: number, why: string): FatalError {
  const window = Number.isFinite(start) ? new Date(start).toISOString() : 'without a time';
  return new FatalError(`InfluxDB’s ${step} window ${window} of ${scope} ${id} ${why}`, {
    code: 'HISTORY_INVALID',
  });
}
