/**
 * Watches the backlogs of this process's feeds: tells them in metrics, counts what retention took, and keeps them
 * within their limits. At a limit either the oldest records are dropped, or publishing to what the sink reads is
 * refused until it has caught up [T2] [T4].
 */
import type { Broker } from '../broker/index.ts';
import { messageOf } from '../model/index.ts';
import { type Clock, gauge, type Logger } from '../runtime/index.ts';
import { totalOf, type WaitingPartition, waitingOf } from './backlog.ts';
import { type BacklogLimits, keepFrom, passedLimit } from './backlog-limits.ts';
import type { RunningFeed } from './running-feed.ts';

const waitingPoints = gauge('backlog_waiting_points', 'Records a sink has yet to store.', ['sink']);
const waitingBytes = gauge('backlog_waiting_bytes', 'Their bytes.', ['sink']);
const oldestSeconds = gauge('backlog_oldest_age_seconds', 'How long the oldest has waited.', [
  'sink',
]);
const pausedState = gauge('backlog_paused_state', '1 while an operator has paused the sink.', [
  'sink',
]);

export type BacklogPolicy = 'block' | 'drop-oldest';

export interface BacklogKeeperParts {
  readonly broker: Broker;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly feeds: readonly RunningFeed[];
  readonly limits: BacklogLimits;
  readonly policy: BacklogPolicy;
  readonly checkIntervalMs: number;
}

export class BacklogKeeper {
  readonly #parts: BacklogKeeperParts;
  /** Up to which offset what retention took has been counted, by sink, topic and partition. */
  readonly #counted = new Map<string, number>();
  /** Why a sink blocks, by its name. */
  readonly #blocking = new Map<string, string>();
  #stop = () => {};
  #checking: Promise<void> | undefined;

  constructor(parts: BacklogKeeperParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#stop = this.#parts.clock.every(this.#parts.checkIntervalMs, () => void this.check());
  }

  async stop(): Promise<void> {
    this.#stop();
    await this.#checking;
  }

  /** Sinks that have more waiting than they may, with the reason; only under the policy `block`. */
  get blocking(): ReadonlyMap<string, string> {
    return this.#blocking;
  }

  /** Looks at every feed once; a look under way is joined. Never rejects. */
  check(): Promise<void> {
    this.#checking ??= this.#checkAll().finally(() => {
      this.#checking = undefined;
    });
    return this.#checking;
  }

  async #checkAll(): Promise<void> {
    for (const feed of this.#parts.feeds) {
      const sink = feed.bound.feed.name;
      try {
        await this.#checkOne(feed, sink);
      } catch (error) {
        this.#parts.logger.warn(
          { sink, error: messageOf(error) },
          'the backlog could not be looked at; the next look comes',
        );
      }
    }
  }

  async #checkOne(feed: RunningFeed, sink: string): Promise<void> {
    const { broker, clock, limits, policy, logger } = this.#parts;
    const waiting = await waitingOf(broker, feed.bound);
    this.#countLost(feed, waiting);
    const total = totalOf(waiting);
    const nowMs = clock.now();
    const labels = { sink };
    waitingPoints.set(labels, total.points);
    waitingBytes.set(labels, total.bytes);
    oldestSeconds.set(
      labels,
      total.oldestMs === undefined ? 0 : Math.max(0, nowMs - total.oldestMs) / 1_000,
    );
    pausedState.set(labels, feed.paused ? 1 : 0);

    const passed = passedLimit(total, limits, nowMs);
    if (policy === 'block') {
      if (passed === undefined) this.#blocking.delete(sink);
      else {
        if (!this.#blocking.has(sink))
          logger.warn({ sink }, `${passed}; publishing to its source is refused`);
        this.#blocking.set(sink, passed);
      }
      return;
    }
    if (passed === undefined) return;
    const places = await keepFrom(broker, waiting, limits, nowMs);
    // Each process moves what it owns; a paused feed owns nothing and has nobody else to do it.
    const owned = new Set(feed.runner.tasks.map((task) => task.partition));
    const ours = places.filter(({ partition }) => feed.paused || owned.has(partition));
    const ahead = ours.filter(
      (place) =>
        place.offset >
        (waiting.find((w) => w.topic === place.topic && w.partition === place.partition)?.from ??
          0),
    );
    if (ahead.length > 0) await feed.dropTo(ahead);
  }

  #countLost(feed: RunningFeed, waiting: readonly WaitingPartition[]): void {
    for (const { topic, partition, from, lost } of waiting) {
      const place = `${feed.bound.feed.name}\0${topic}\0${partition}`;
      const before = this.#counted.get(place) ?? from - lost;
      if (lost > 0)
        feed.noteDropped(Math.max(0, from - Math.max(before, from - lost)), 'retention');
      this.#counted.set(place, from);
    }
  }
}
