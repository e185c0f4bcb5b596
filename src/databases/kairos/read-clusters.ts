/**
 * Older clusters that are read beside the one that is written, each for a span of time (spec §13): where a keyspace
 * was moved and its past left behind. A row remembers the cluster it was found in, and that cluster's encoding; equal
 * rows of two clusters are both read. They are connected to when a query first reaches into their time, never for
 * a write, so that an old cluster that is away stops only questions about its time: its failures have a code of their
 * own, by which they are told from those of the cluster that is written.
 */
import { RetriableError } from '../../model/index.ts';
import type { FoundRow, RowQuery } from './row-query.ts';
import { findRows, timeBounds } from './row-query.ts';
import { type PointPage, type RowReadOptions, readRow } from './row-reader.ts';
import type { RowSpec } from './row-spec.ts';
import { storedSpec } from './spec-rows.ts';
import type { WideRows } from './wide-rows.ts';

export interface ReadClusterOptions {
  readonly rows: WideRows;
  /** For whoever has to find it. */
  readonly name: string;
  /** Queries that touch this span ask it, both included, as KairosDB's `start_time` and `end_time`. ±Infinity: open. */
  readonly fromMs: number;
  readonly toMs: number;
}

export class ReadCluster {
  readonly rows: WideRows;
  readonly #options: ReadClusterOptions;
  readonly #found = new WeakSet<FoundRow>();
  #spec: RowSpec | undefined;

  constructor(options: ReadClusterOptions) {
    this.rows = options.rows;
    this.#options = options;
  }

  async #connect(): Promise<RowSpec> {
    await this.rows.connect();
    this.#spec ??= await storedSpec(this.rows);
    return this.#spec;
  }

  /** Of its rows; undefined before it was first asked. */
  get rowSpanMs(): number | undefined {
    return this.#spec?.rowSpanMs;
  }

  isAsked(query: RowQuery): boolean {
    const bounds = timeBounds(query);
    if (bounds === undefined) return false;
    return bounds.firstMs <= this.#options.toMs && bounds.lastMs >= this.#options.fromMs;
  }

  /** As all that reads: rejects with RetriableError READ_CLUSTER_UNAVAILABLE, and FatalError KAIROS_SPEC_INVALID. */
  findRows(query: RowQuery): AsyncGenerator<readonly FoundRow[]> {
    return this.#named(this.#findRows(query));
  }

  async *#findRows(query: RowQuery): AsyncGenerator<readonly FoundRow[]> {
    const spec = await this.#connect();
    for await (const page of findRows(this.rows, spec, query)) {
      for (const found of page) this.#found.add(found);
      yield page;
    }
  }

  has(found: FoundRow): boolean {
    return this.#found.has(found);
  }

  readRow(found: FoundRow, options: RowReadOptions): AsyncGenerator<PointPage> {
    return this.#named(readRow(this.rows, this.#spec as RowSpec, found, options));
  }

  metricNames(prefix?: string): AsyncGenerator<readonly string[]> {
    return this.#named(this.#metricNames(prefix));
  }

  async *#metricNames(prefix?: string): AsyncGenerator<readonly string[]> {
    await this.#connect();
    yield* this.rows.metricNames(prefix);
  }

  async *#named<T>(pages: AsyncGenerator<T>): AsyncGenerator<T> {
    try {
      yield* pages;
    } catch (error) {
      if (!(error instanceof RetriableError)) throw error;
      const { retryAfterMs, message } = error;
      throw new RetriableError(`the read cluster ${this.#options.name} is away: ${message}`, {
        code: 'READ_CLUSTER_UNAVAILABLE',
        cause: error,
        ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
      });
    }
  }
}
