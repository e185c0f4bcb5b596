/** A row of an answer, and the rollup that it may hold. */

/** One stored rollup; latencies in slots. */
export interface InfluxRollup {
  /** Start of the window, ms since the epoch. */
  readonly start: number;
  readonly network: string;
  /** First 8 characters; absent for a network. */
  readonly validatorId?: string;
  readonly voteAccount?: string;
  readonly count: number;
  readonly mean: number;
  readonly min: number;
  readonly max: number;
  readonly stddev: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly movingAverage: number;
}

/** One row of an answer; `undefined` where a column is missing or empty. */
export interface Row {
  text(column: string): string | undefined;
  number(column: string): number | undefined;
  /** Whole numbers beyond 2^53 keep their digits. */
  bigint(column: string): bigint | undefined;
  timeMs(column: string): number | undefined;
  /** Columns with their texts, but for empty ones, in the order of the answer. */
  entries(): Iterable<readonly [string, string]>;
}

export class CsvRow implements Row {
  readonly #values: readonly string[];
  readonly #at: ReadonlyMap<string, number>;

  constructor(values: readonly string[], at: ReadonlyMap<string, number>) {
    this.#values = values;
    this.#at = at;
  }

  text(column: string): string | undefined {
    const at = this.#at.get(column);
    return at === undefined ? undefined : this.#values[at] || undefined;
  }

  number(column: string): number | undefined {
    const text = this.text(column);
    return text === undefined ? undefined : Number(text);
  }

  bigint(column: string): bigint | undefined {
    const text = this.text(column);
    return text === undefined ? undefined : BigInt(text);
  }

  timeMs(column: string): number | undefined {
    const text = this.text(column);
    return text === undefined ? undefined : Date.parse(text);
  }

  *entries(): Generator<readonly [string, string]> {
    for (const [column, at] of this.#at) {
      const text = this.#values[at];
      if (text) yield [column, text];
    }
  }
}

export function readRollup(row: Row): InfluxRollup {
  const number = (column: string) => row.number(column) ?? Number.NaN;
  const validatorId = row.text('validator_id');
  const voteAccount = row.text('vote_account');
  return {
    start: row.timeMs('_time') ?? Number.NaN,
    network: row.text('network') ?? '',
    ...(validatorId === undefined ? {} : { validatorId }),
    ...(voteAccount === undefined ? {} : { voteAccount }),
    count: number('count'),
    mean: number('mean'),
    min: number('min'),
    max: number('max'),
    stddev: number('stddev'),
    p50: number('p50'),
    p95: number('p95'),
    p99: number('p99'),
    movingAverage: number('moving_average'),
  };
}
