/**
 * What the 5-minute rollups of a stream of votes must be, worked out the slow and obvious way: one record at
 * a time, JSON.parse, plain Maps. It shares no code with the product, so that the two can be compared.
 *
 *   contract, Topics: a duplicate (same vote account and slot within 10 minutes of event time) is judged
 *   before lateness, and the first wins; late is at or beyond window end + grace on the partition's watermark.
 */

const windowMs = 5 * 60_000;
const graceMs = 30_000;
const duplicateHorizonMs = 10 * 60_000;

/** One validator's window on one partition. `start` and `end` in ms, half-open; latencies in slots. */
export interface ExpectedWindow {
  readonly validator: string;
  readonly voteAccount: string;
  readonly network: string;
  readonly partition: number;
  readonly start: number;
  readonly end: number;
  /** Votes in the rollup; 0 when all that fell into the window were late (then there is no rollup). */
  readonly count: number;
  readonly sum: number;
  readonly min: number;
  readonly max: number;
  /** Repeats that came while the first one's window was open. */
  readonly duplicates: number;
  /** Votes of this window that came too late for it. */
  readonly late: number;
  /** The partition's watermark has passed end + grace: the rollup must be out. */
  readonly closed: boolean;
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

interface PartitionTruth {
  watermark: number;
  /** Event time of the first vote of each (vote account, voted slot). */
  readonly firsts: Map<string, number>;
  readonly windows: Map<string, Writable<ExpectedWindow>>;
}

export interface VoteTotals {
  readonly records: number;
  readonly counted: number;
  readonly duplicates: number;
  readonly late: number;
}

/** Feed it every valid record in the order of its partition's offsets. */
export class VoteTruth {
  readonly #partitions = new Map<number, PartitionTruth>();
  readonly #totals = { records: 0, counted: 0, duplicates: 0, late: 0 };

  add(partition: number, value: Uint8Array | string): void {
    const text = typeof value === 'string' ? value : Buffer.from(value).toString('utf8');
    const vote = JSON.parse(text) as {
      validator: string;
      voteAccount: string;
      network: string;
      votedSlot: number;
      landedSlot: number;
      timestamp: number;
    };
    const truth = this.#partitions.get(partition) ?? {
      watermark: Number.NEGATIVE_INFINITY,
      firsts: new Map(),
      windows: new Map(),
    };
    this.#partitions.set(partition, truth);
    this.#totals.records++;
    truth.watermark = Math.max(truth.watermark, vote.timestamp);

    const identity = `${vote.voteAccount} ${vote.votedSlot}`;
    const first = truth.firsts.get(identity);
    const isDuplicate =
      first !== undefined && Math.abs(vote.timestamp - first) <= duplicateHorizonMs;
    const start = Math.floor((isDuplicate ? first : vote.timestamp) / windowMs) * windowMs;
    const end = start + windowMs;
    const isOver = end + graceMs <= truth.watermark;

    const key = `${vote.validator} ${start}`;
    const window = truth.windows.get(key) ?? {
      validator: vote.validator,
      voteAccount: vote.voteAccount,
      network: vote.network,
      partition,
      start,
      end,
      count: 0,
      sum: 0,
      min: Number.POSITIVE_INFINITY,
      max: Number.NEGATIVE_INFINITY,
      duplicates: 0,
      late: 0,
      closed: false,
    };
    truth.windows.set(key, window);

    if (isDuplicate) {
      this.#totals.duplicates++;
      if (!isOver) window.duplicates++;
      return;
    }
    truth.firsts.set(identity, vote.timestamp);
    if (isOver) {
      this.#totals.late++;
      window.late++;
      return;
    }
    const latency = vote.landedSlot - vote.votedSlot;
    this.#totals.counted++;
    window.count++;
    window.sum += latency;
    window.min = Math.min(window.min, latency);
    window.max = Math.max(window.max, latency);
  }

  totals(): VoteTotals {
    return { ...this.#totals };
  }

  /** Sorted by partition, start, validator. */
  windows(): readonly ExpectedWindow[] {
    const all: ExpectedWindow[] = [];
    for (const truth of this.#partitions.values()) {
      for (const window of truth.windows.values()) {
        all.push({ ...window, closed: window.end + graceMs <= truth.watermark });
      }
    }
    return all.sort(
      (a, b) =>
        a.partition - b.partition ||
        a.start - b.start ||
        (a.validator < b.validator ? -1 : Number(a.validator > b.validator)),
    );
  }
}
