/**
 * Time travel: what the live endpoints would have said at a past moment [E6]. One question at a time, answers for the
 * last few moments kept, and live goes first: whenever live lag grows, the reading waits.
 */
import { voteLatency } from '../../topologies/index.ts';
import type { LiveVotes } from '../api/index.ts';
import type { Broker } from '../broker/index.ts';
import { liveFirst, pastState, VOTE_STATE_REACH_MS } from '../jobs/index.ts';
import { FatalError, RetriableError } from '../model/index.ts';
import type { Clock } from '../runtime/index.ts';
import { liveVotes } from './live-votes.ts';

export interface LiveAtParts {
  readonly broker: Broker;
  readonly clock: Clock;
  /** Records that the live tasks of this process are behind. */
  readonly liveLag: () => number;
}

/** 85 minutes at some 2,000 votes a second; they are read again in about half a minute. */
const RECORDS_MAX = 10_000_000;
/** Moments whose state is kept: some megabytes each at 2,000 validators. */
const MOMENTS_MAX = 3;
const WAITING_MAX = 4;

export class LiveAt {
  readonly #parts: LiveAtParts;
  /** Oldest first. */
  readonly #moments = new Map<number, Promise<LiveVotes>>();
  readonly #stopping = new AbortController();
  #turn: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor(parts: LiveAtParts) {
    this.#parts = parts;
  }

  /** @throws FatalError RANGE_INVALID for the future and for what the log no longer holds; TOO_MUCH_ASKED; RetriableError when too many ask. */
  at(atMs: number): Promise<LiveVotes> {
    if (atMs > this.#parts.clock.now())
      throw new FatalError('at lies in the future', { code: 'RANGE_INVALID' });
    const known = this.#moments.get(atMs);
    if (known !== undefined) return known;
    if (this.#waiting >= WAITING_MAX) {
      throw new RetriableError(`${WAITING_MAX} other moments are being looked up; ask again`, {
        code: 'UNAVAILABLE',
        retryAfterMs: 5_000,
      });
    }
    this.#waiting++;
    const found = this.#turn.then(() => this.#look(atMs));
    this.#moments.set(atMs, found);
    this.#turn = found.then(
      () => this.#ended(),
      () => {
        this.#moments.delete(atMs);
        this.#ended();
      },
    );
    return found;
  }

  /** Ends what is being looked up. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the engine stops'));
    await this.#turn;
  }

  #ended(): void {
    this.#waiting--;
    for (const atMs of this.#moments.keys()) {
      if (this.#moments.size <= MOMENTS_MAX) return;
      this.#moments.delete(atMs);
    }
  }

  async #look(atMs: number): Promise<LiveVotes> {
    const { broker, clock } = this.#parts;
    const { signal } = this.#stopping;
    const tasks = await pastState({
      topology: voteLatency,
      broker,
      atMs,
      reachMs: VOTE_STATE_REACH_MS,
      recordsMax: RECORDS_MAX,
      signal,
      pace: () => liveFirst(this.#parts, signal),
    });
    // What stood then changes no more: nothing is to be kept fresh.
    return liveVotes(() => tasks, { now: () => clock.now() });
  }
}
