/**
 * The sinks of this process as operators see them: run, paused and resumed, flushed, cleared, kept within their
 * limits. A process without the role `sinks` has the same feeds, not started: it can tell and clear their backlogs.
 */
import type { BacklogView } from '../api/index.ts';
import type { Settings } from '../runtime/index.ts';
import type { Topology } from '../stream/index.ts';
import { backlogOf } from './backlog.ts';
import { BacklogKeeper } from './backlog-keeper.ts';
import type { BoundFeed } from './feeds.ts';
import { RunningFeed, type RunningFeedParts } from './running-feed.ts';
import { SinkControl } from './sink-control.ts';

export interface SinksOptions extends RunningFeedParts {
  readonly feeds: readonly BoundFeed[];
  readonly settings: Pick<Settings, 'sinks'>;
  /** What derives the topics that sinks read, to tell what a full backlog blocks. */
  readonly topologies: readonly Topology[];
}

export class Sinks {
  readonly #options: SinksOptions;
  readonly #feeds: readonly RunningFeed[];
  readonly #control: SinkControl;
  readonly #keeper: BacklogKeeper;
  #running = false;

  constructor(options: SinksOptions) {
    const { broker, clock, logger, settings } = options;
    this.#options = options;
    this.#feeds = options.feeds.map((bound) => new RunningFeed(bound, options));
    this.#control = new SinkControl({ broker, clock, logger, feeds: () => this.#feeds });
    const { backlogPointsMax, backlogBytesMax, backlogAgeMaxMs, backlogPolicy } = settings.sinks;
    this.#keeper = new BacklogKeeper({
      broker,
      clock,
      logger,
      feeds: this.#feeds,
      limits: {
        pointsMax: backlogPointsMax,
        bytesMax: backlogBytesMax,
        ageMaxMs: backlogAgeMaxMs,
      },
      policy: backlogPolicy,
      checkIntervalMs: settings.sinks.backlogCheckIntervalMs,
    });
  }

  /** Feeds that run here. */
  get running(): readonly RunningFeed[] {
    return this.#running ? this.#feeds : [];
  }

  async start(): Promise<void> {
    await this.#control.start();
    this.#running = true;
    for (const feed of this.#feeds) await feed.start();
    this.#keeper.start();
  }

  async stop(): Promise<void> {
    await this.#keeper.stop();
    await this.#control.stop();
    await Promise.all(this.#feeds.map((feed) => feed.stop()));
  }

  backlog(): Promise<readonly BacklogView[]> {
    const { broker, clock } = this.#options;
    return Promise.all(
      this.#feeds.map(async ({ bound, dropped, paused }) => ({
        ...(await backlogOf(broker, bound, clock, dropped)),
        paused,
      })),
    );
  }

  /** Tries now, without waiting for the backoff; false when nothing waited for one. */
  async flush(sink: string): Promise<boolean> {
    return this.#find(sink)?.bound.delivery?.retryNow() ?? false;
  }

  /** Gives up what waits; undefined when there is no such sink. */
  async clear(sink: string): Promise<number | undefined> {
    return this.#find(sink)?.clear();
  }

  /** Durable, for every process, until told otherwise. */
  async setPaused(sinks: readonly string[], paused: boolean): Promise<void> {
    if (!this.#running) await this.#control.start();
    await this.#control.set(sinks.map((sink) => ({ sink, paused })));
  }

  /** Why nothing may be published to a topic now; undefined when it may. Policy `block` only [T2]. */
  blocked(topic: string): string | undefined {
    for (const [sink, why] of this.#keeper.blocking) {
      const feed = this.#find(sink)?.bound.feed;
      if (feed !== undefined && this.#sourcesOf(feed).has(topic))
        return `${sink} is behind: ${why}`;
    }
    return undefined;
  }

  /** Topics a feed reads, and those that what it reads is derived from. */
  #sourcesOf(feed: Topology): ReadonlySet<string> {
    const topics = new Set(feed.sources.map(({ topic }) => topic));
    // A set grows while it is walked: each topic that is derived brings its own sources.
    for (const topic of topics)
      for (const topology of this.#options.topologies)
        if (topology.outputs.includes(topic))
          for (const source of topology.sources) topics.add(source.topic);
    return topics;
  }

  #find(sink: string): RunningFeed | undefined {
    return this.#feeds.find(({ bound }) => bound.feed.name === sink);
  }
}
