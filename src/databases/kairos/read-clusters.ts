/**
 * Older clusters that are read beside the one that is written, each for a span of time (spec §13): where a keyspace
 * was moved and its past left behind. A row remembers the cluster it was found in, and that cluster's encoding; equal
 * rows of two clusters are both read. They are connected to when a query first reaches into their time, never for
 * a write, so that an old cluster that is away stops only questions about its time.
 */
import type { FoundRow, RowQuery } from './row-query.ts';
import { findRows, timeBounds } from './row-query.ts';
import { type PointPage, type RowReadOptions, readRow } from './row-reader.ts';
import type { RowSpec } from './row-spec.ts';
import { storedSpec } from './spec-rows.ts';
import type { WideRows } from './wide-rows.ts';

export interface ReadClusterOptions {
  readonly rows: WideRows;
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

  /** Rejects as WideRows.connect, and with FatalError KAIROS_SPEC_INVALID. */
  async connect(): Promise<RowSpec> {
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

  async *findRows(query: RowQuery): AsyncGenerator<readonly FoundRow[]> {
    const spec = await this.connect();
    for await (const page of findRows(this.rows, spec, query)) {
      for (const found of page) this.#found.add(found);
      yield page;
    }
  }

  has(found: FoundRow): boolean {
    return this.#found.has(found);
  }

  readRow(found: FoundRow, options: RowReadOptions): AsyncGenerator<PointPage> {
    return readRow(this.rows, this.#spec as RowSpec, found, options);
  }

  async *metricNames(prefix?: string): AsyncGenerator<readonly string[]> {
    await this.connect();
    yield* this.rows.metricNames(prefix);
  }
}
