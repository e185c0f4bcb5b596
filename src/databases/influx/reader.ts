/**
 * Queries [V6]. The official client parses the answers, with one trap kept from callers: an error in the
 * middle of a result arrives as an ordinary row (spec/influxdb.md §3), which is thrown here.
 */
import type { QueryApi } from '@influxdata/influxdb-client';
import { attempt } from '../../delivery/index.ts';
import { FatalError, messageOf, RetriableError, TidemarkError } from '../../model/index.ts';
import { type Clock, systemClock } from '../../runtime/index.ts';
import { influxClient } from './client.ts';
import type { InfluxConfig } from './config.ts';
import { type RollupQuery, rollupsFlux } from './flux.ts';
import { errorOf } from './http.ts';
import { QueryCache } from './query-cache.ts';
import type { QueryValues } from './query-template.ts';
import { retryAfterMs } from './retry-after.ts';
import { CsvRow, type InfluxRollup, type Row, readRollup } from './row.ts';
import { type QueryName, type QueryRow, queryTemplates } from './templates.ts';

export interface InfluxReaderOptions {
  readonly config: InfluxConfig;
  readonly clock?: Clock;
  /** A query is cut after this long; 10 s when absent. */
  readonly timeoutMs?: number;
  /** A larger answer is refused rather than held in memory; 100,000 when absent. */
  readonly rowsMax?: number;
  /** How long an answer is good, ms; 2 s when absent. */
  readonly cacheMs?: number;
}

/** What identifies a series of rollups but for its scope. */
export type RollupRange = Omit<RollupQuery, 'scope'>;

const CACHE_ENTRIES_MAX = 200;
/** Longer than any query may take, so that our own timeout decides. */
const SOCKET_TIMEOUT_MARGIN_MS = 5_000;

export class InfluxReader {
  readonly #config: InfluxConfig;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #rowsMax: number;
  readonly #api: QueryApi;
  readonly #cache: QueryCache<readonly unknown[]>;

  constructor(options: InfluxReaderOptions) {
    const { config, clock = systemClock, timeoutMs = 10_000, rowsMax = 100_000 } = options;
    this.#config = config;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#rowsMax = rowsMax;
    const { url, token, org } = config;
    this.#api = new (influxClient().InfluxDB)({
      url,
      token,
      timeout: timeoutMs + SOCKET_TIMEOUT_MARGIN_MS,
    }).getQueryApi({ org, gzip: config.gzip });
    this.#cache = new QueryCache({
      clock,
      ttlMs: options.cacheMs ?? 2_000,
      entriesMax: CACHE_ENTRIES_MAX,
    });
  }

  /** A validator's rollups in order of window start; see `rollups`. */
  getValidatorMetrics(range: RollupRange, signal?: AbortSignal): Promise<readonly InfluxRollup[]> {
    return this.rollups({ ...range, scope: 'validator' }, signal);
  }

  /** A network's rollups in order of window start; see `rollups`. */
  getNetworkStats(range: RollupRange, signal?: AbortSignal): Promise<readonly InfluxRollup[]> {
    return this.rollups({ ...range, scope: 'network' }, signal);
  }

  /**
   * Stored rollups, in order of window start. Rejects with RetriableError (server away, QUERY_TIMEOUT,
   * QUERY_FAILED) or FatalError (rights, bucket missing, RANGE_INVALID, QUERY_TOO_LARGE).
   */
  async rollups(query: RollupQuery, signal?: AbortSignal): Promise<readonly InfluxRollup[]> {
    if (isEmptyRange(query)) return [];
    return this.#cached(rollupsFlux(query).toString(), readRollup, signal);
  }

  /** The answer to one of `queryTemplates`. Rejects as `rollups` does. */
  async ask<N extends QueryName>(
    name: N,
    values: QueryValues,
    signal?: AbortSignal,
  ): Promise<readonly QueryRow<N>[]> {
    if (isEmptyRange(values)) return [];
    const { flux, read } = queryTemplates[name];
    return this.#cached(flux(values).toString(), read as (row: Row) => QueryRow<N>, signal);
  }

  /** The question is shared with others who ask it now, so only one's own waiting ends by one's signal. */
  #cached<T>(
    flux: string,
    read: (row: Row) => T,
    signal: AbortSignal | undefined,
  ): Promise<readonly T[]> {
    return attempt(
      this.#attemptOptions('query', signal),
      () => this.#cache.get(flux, () => this.rows(flux, read)) as Promise<readonly T[]>,
    );
  }

  /** Runs any Flux and reads each row; nothing is cached. Rejects as `rollups` does. */
  async rows<T>(flux: string, read: (row: Row) => T, signal?: AbortSignal): Promise<readonly T[]> {
    return attempt(this.#attemptOptions('query', signal), async (cut) => {
      try {
        return await this.#collect(flux, read, cut);
      } catch (error) {
        throw cut.aborted ? cut.reason : this.#errorOf(error);
      }
    });
  }

  #collect<T>(flux: string, read: (row: Row) => T, cut: AbortSignal): Promise<readonly T[]> {
    return new Promise((resolve, reject) => {
      const found: T[] = [];
      let cancel = () => {};
      let columnsOf: unknown;
      let at: ReadonlyMap<string, number> = new Map();
      const fail = (error: unknown) => {
        reject(error);
        cancel();
      };
      cut.addEventListener('abort', () => cancel(), { once: true });
      this.#api.queryRows(flux, {
        next: (values, table) => {
          if (columnsOf !== table) {
            at = new Map(table.columns.map(({ label, index }) => [label, index]));
            columnsOf = table;
          }
          const row = new CsvRow(values, at);
          if (at.has('error') && at.has('reference')) {
            return fail(
              new RetriableError(`InfluxDB gave up within its answer: ${row.text('error')}`, {
                code: 'QUERY_FAILED',
                context: { reference: row.text('reference') },
              }),
            );
          }
          if (found.length >= this.#rowsMax) {
            return fail(
              new FatalError(`the answer has over ${this.#rowsMax} rows; ask for a shorter range`, {
                code: 'QUERY_TOO_LARGE',
                context: { rowsMax: this.#rowsMax },
              }),
            );
          }
          try {
            found.push(read(row));
          } catch (error) {
            fail(error);
          }
        },
        error: reject,
        complete: () => resolve(found),
        useCancellable: (cancellable) => {
          cancel = () => cancellable.cancel();
          if (cut.aborted) cancel();
        },
      });
    });
  }

  #attemptOptions(what: string, signal: AbortSignal | undefined) {
    const { url } = this.#config;
    return {
      clock: this.#clock,
      timeoutMs: this.#timeoutMs,
      what: `${what} of InfluxDB at ${url}`,
      code: 'QUERY_TIMEOUT',
      signal,
    };
  }

  #errorOf(error: unknown): unknown {
    if (error instanceof TidemarkError) return error;
    if (!(error instanceof influxClient().HttpError)) {
      return new RetriableError(
        `InfluxDB at ${this.#config.url} does not answer: ${messageOf(error)}`,
        { code: 'SINK_UNREACHABLE', cause: error },
      );
    }
    if (error.statusCode === 400) {
      return new FatalError(`BUG: InfluxDB does not understand our query: ${error.message}`, {
        code: 'QUERY_INVALID',
      });
    }
    const retryAfter = error.headers?.['retry-after'];
    return errorOf(
      this.#config,
      {
        status: error.statusCode,
        headers: new Headers(),
        code: error.code ?? '',
        message: error.message,
        json: error.json,
      },
      {
        what: 'query',
        retryAfterMs: retryAfterMs(retryAfter ? `${retryAfter}` : null, this.#clock.now()),
      },
    );
  }
}

/** The server refuses an empty range; what ends before it starts is refused here. */
function isEmptyRange({ from, to }: { readonly from: number; readonly to: number }): boolean {
  if (from <= to && Number.isFinite(to - from)) return from === to;
  throw new FatalError(`the range ${from} … ${to} ms ends before it starts`, {
    code: 'RANGE_INVALID',
  });
}
