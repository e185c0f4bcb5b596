/** KairosDB's points on their way through the log: door, feed and store joined. */
import { createHash } from 'node:crypto';
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import type { Broker } from '../../broker/index.ts';
import type { KairosStore, WriteOptions } from '../../databases/kairos/index.ts';
import { type Delivery, deliver } from '../../delivery/index.ts';
import { type Clock, type Logger, random, type Settings } from '../../runtime/index.ts';
import { topicsOf } from '../../stream/index.ts';
import type { BoundFeed } from '../feeds.ts';
import { PointLog } from './point-log.ts';
import {
  POINTS_SINK,
  paceOf,
  pointsFeed,
  pointsTopicOf,
  policyOf,
  StoredPlaces,
  weigherOf,
  weighRecord,
} from './points-feed.ts';
import { type LoggedPoints, pointsSink } from './points-sink.ts';

export { PointLog } from './point-log.ts';
export { POINTS_SINK } from './points-feed.ts';
export { type LoggedPoints, pointsSink } from './points-sink.ts';

export interface PointsParts {
  readonly settings: Settings;
  readonly broker: Broker;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly store: KairosStore;
  readonly write: WriteOptions;
  /** Why nothing may be published to a topic now; undefined when it may. */
  blocked(topic: string): string | undefined;
  /** Default: by the keyspace. */
  readonly topic?: string | undefined;
}

export class Points {
  /** Drains the log into the store where role `sinks` runs it. */
  readonly bound: BoundFeed;
  /** The way in, where role `ingest` opened it. */
  log: PointLog | undefined;
  readonly #parts: PointsParts;
  readonly #topic: string;
  readonly #places: StoredPlaces;
  readonly #delivery: Delivery<LoggedPoints>;

  constructor(parts: PointsParts) {
    const { settings, broker, clock, logger, store } = parts;
    this.#parts = parts;
    this.#topic = parts.topic ?? pointsTopicOf(settings);
    const feed = pointsFeed(this.#topic);
    const group = groupOf(this.#topic, settings);
    this.#places = new StoredPlaces({ broker, clock, topic: this.#topic, group });
    const sink = pointsSink({
      name: feed.name,
      store,
      onStored: (partition, offset) => this.#places.moved(partition, offset),
    });
    const { backoffBaseMs, backoffCapMs, attempts, healthCheckIntervalMs } = settings.sinks;
    const pace = paceOf(store.rows.kind);
    const weigh = weigherOf(pace);
    const policy = {
      // In order: of two points in one cell the later in the log stays, and a delete takes only what came before.
      writersMax: 1,
      batchPointsMax: pace.batchBytes,
      // What waits while a batch is on its way is the next one; nobody need wait for more, unless there is a backlog.
      flushIntervalMs: 0,
      gatherFromPoints: pace.gatherFromBytes,
      gatherMs: pace.gatherMs,
      backoffBaseMs,
      backoffCapMs: Math.max(backoffBaseMs, backoffCapMs),
      attemptsMax: attempts,
      healthIntervalMs: healthCheckIntervalMs,
      attemptTimeoutMs: ATTEMPT_TIMEOUT_MS,
    };
    this.#delivery = deliver(sink, policy, { clock, log: logger, random, weigh });
    this.bound = {
      feed,
      sink: POINTS_SINK,
      port: {
        write: async (points, signal) =>
          (await this.#delivery.write(points as readonly LoggedPoints[], signal)).rejections,
        weigh: (points) =>
          (points as readonly LoggedPoints[]).reduce((sum, point) => sum + weigh(point), 0),
      },
      delivery: this.#delivery as unknown as Delivery<never>,
      group,
      policy: policyOf(pace),
      weigh: weighRecord,
    };
  }

  /** Opens the way in; makes the topic when it is missing. */
  async open(): Promise<PointLog> {
    const { broker, clock, write, blocked } = this.#parts;
    await broker.createTopics(topicsOf(this.bound.feed));
    const [described] = await broker.describeTopics([this.#topic]);
    this.log = new PointLog({
      broker,
      clock,
      topic: this.#topic,
      partitions: Math.max(1, described?.partitions.length ?? 1),
      write,
      stored: (partition, offset, signal) => this.#places.reached(partition, offset, signal),
      blocked: () => blocked(this.#topic),
    });
    return this.log;
  }

  async close(): Promise<void> {
    await this.#delivery.stop(STOP_WITHIN_MS);
  }
}

const STOP_WITHIN_MS = 5_000;
/** A batch may be a delete of a whole metric. */
const ATTEMPT_TIMEOUT_MS = 300_000;

/**
 * With a store that each data directory has to itself, on a log that is shared, each must read all of it: a group of
 * its own. Processes that share a store share the work.
 */
function groupOf(topic: string, { kafka, cassandra, data }: Settings): string {
  if (kafka.brokers.length === 0 || cassandra.hosts.length > 0) return topic;
  const place = createHash('sha256').update(`${hostname()}\0${resolve(data)}`);
  return `${topic}.${place.digest('hex').slice(0, 12)}`;
}
