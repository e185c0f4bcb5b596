/**
 * Feeds and the databases they end in. Each feed is bound to a delivery of its own, so that one that waits
 * out an outage holds up no other.
 */
import { createHash } from 'node:crypto';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import {
  fleetFeeds,
  fleetMetrics,
  systemMetricCodec,
  voteCodec,
  voteFeeds,
  voteLatency,
} from '../../topologies/index.ts';
import { type FleetEntry, FleetStore, RollupStore } from '../databases/embedded/index.ts';
import { InfluxSink, influxConfig } from '../databases/influx/index.ts';
import { type KairosStore, kairosSink, type WriteOptions } from '../databases/kairos/index.ts';
import { type Delivery, deliver, type Sink } from '../delivery/index.ts';
import { type DataPoint, FatalError, type Point, type Rollup } from '../model/index.ts';
import type { Clock, Logger, Settings } from '../runtime/index.ts';
import { random } from '../runtime/index.ts';
import type { EpochPolicy, SinkPort, Topology } from '../stream/index.ts';
import { openKairosStore } from './kairos-store.ts';

/** The feeds of one topology, by where they end. */
export interface FeedSet {
  /** Of use only where this one derives what they carry, here or elsewhere; absent: always. */
  readonly of?: Topology;
  /** A sink's name is `influx:` and the bucket. */
  readonly influx: readonly Topology[];
  /** To the KairosDB-schema store, Cassandra's or the embedded one. */
  readonly kairos: readonly Topology[];
  /** To a store of this process, which answers the history endpoints: its sink is `history` or `fleet`. */
  readonly history: Topology;
}

export const builtInFeeds: readonly FeedSet[] = [
  { of: voteLatency, ...voteFeeds },
  { of: fleetMetrics, ...fleetFeeds },
];

/** A feed ready to run: its topology, its port, and its delivery's state for the backlog view. */
export interface BoundFeed {
  readonly feed: Topology;
  /** The one sink name in the feed's drawing. */
  readonly sink: string;
  readonly port: SinkPort;
  readonly delivery: Delivery<never> | undefined;
  /** Consumer group: the feed's own, but for a store that each process has to itself. */
  readonly group: string;
  /** Where it differs from the engine's. */
  readonly policy?: Partial<EpochPolicy>;
  /** How many points a record holds, for the backlog; absent: one. */
  readonly weigh?: (value: Buffer) => number;
  /** The topology that it is of use with; undefined: any. */
  readonly of?: Topology | undefined;
}

export interface Databases {
  readonly feeds: readonly BoundFeed[];
  readonly rollups: RollupStore;
  readonly fleet: FleetStore;
  /** KairosDB's series, on Cassandra or in this process. Connects when it is first used. */
  readonly kairos: KairosStore;
  close(): Promise<void>;
}

const STOP_WITHIN_MS = 5_000;

export const kairosWriteOptions: WriteOptions = {
  // As KairosDB: its clients are told when they ask for such a point, not when they send it.
  nonFinite: 'store',
};

/** Opens what the settings name: InfluxDB and Cassandra when named, the embedded store unless Cassandra is. */
export async function openDatabases(
  settings: Settings,
  clock: Clock,
  logger: Logger,
  feedSets: readonly FeedSet[] = builtInFeeds,
): Promise<Databases> {
  const parts = { clock, log: logger, random };
  const rollups = new RollupStore(join(settings.data, 'rollups'));
  const fleet = new FleetStore(join(settings.data, 'fleet'));
  const ownStores: Readonly<Record<string, SinkPort>> = {
    history: storePort((points) => rollups.put(points as readonly Rollup[])),
    fleet: storePort((points) => fleet.put(points as readonly FleetEntry[])),
  };
  const store = openKairosStore(settings, clock, kairosWriteOptions);
  const influx = influxOf(settings);
  const bound: BoundFeed[] = [];
  const bind = <P>(feed: Topology, of: Topology | undefined, sink: Sink<P>, writersMax: number) => {
    const delivery = deliver(sink, { ...deliveryPolicyOf(settings), writersMax }, parts);
    bound.push({
      feed,
      sink: sinkOf(feed),
      port: deliveryPort(delivery),
      delivery: delivery as unknown as Delivery<never>,
      group: feed.group(0),
      of,
    });
  };
  for (const feeds of feedSets) {
    const { history, of } = feeds;
    bound.push({
      feed: history,
      sink: sinkOf(history),
      port: ownStores[sinkOf(history)] as SinkPort,
      delivery: undefined,
      group: historyGroup(history, settings),
      of,
    });
    for (const feed of influx === undefined ? [] : feeds.influx) {
      const bucket = sinkOf(feed).replace(/^influx:/, '');
      const sink = new InfluxSink({ config: influx as NonNullable<typeof influx>, bucket, clock });
      // Raw points are of their own there; a rollup's revisions must not overtake each other.
      const isRaw = feed.sources.every(({ codec }) => rawCodecs.has(codec.name));
      bind<Point>(feed, of, sink, isRaw ? settings.influx.workers : 1);
    }
    for (const feed of feeds.kairos) {
      // In order: of two votes that share a point the later one in the log must stay.
      bind<DataPoint>(feed, of, kairosSink(store, { name: feed.name }), 1);
    }
  }
  return {
    feeds: bound,
    rollups,
    fleet,
    kairos: store,
    async close() {
      await Promise.all(bound.map(({ delivery }) => delivery?.stop(STOP_WITHIN_MS)));
      await store.close();
      await Promise.all([rollups.close(), fleet.close()]);
    },
  };
}

/**
 * On Kafka each data directory has a store of all rollups of its own, so it must read all partitions: a group of
 * its own. Processes that share a directory share both.
 */
function historyGroup(feed: Topology, settings: Settings): string {
  if (settings.kafka.brokers.length === 0) return feed.group(0);
  const place = createHash('sha256').update(`${hostname()}\0${resolve(settings.data)}`);
  return `${feed.group(0)}.${place.digest('hex').slice(0, 12)}`;
}

/** InfluxDB's settings; undefined when it is not named. */
export function influxOf(settings: Settings): ReturnType<typeof influxConfig> | undefined {
  const { url, org, token, compression } = settings.influx;
  if (url === undefined) return undefined;
  if (org === undefined || token === undefined) {
    throw new FatalError(
      'INFLUX_URL is set; set INFLUX_ORG and INFLUX_TOKEN (or INFLUX_TOKEN_FILE) too',
      {
        code: 'SETTINGS_INCOMPLETE',
      },
    );
  }
  return influxConfig({ url, org, token: token.reveal(), gzip: compression });
}

export function deliveryPolicyOf(settings: Settings) {
  const { backoffBaseMs, backoffCapMs, attempts, healthCheckIntervalMs } = settings.sinks;
  return {
    batchPointsMax: settings.influx.batchSize,
    flushIntervalMs: settings.influx.flushIntervalMs,
    backoffBaseMs,
    backoffCapMs: Math.max(backoffBaseMs, backoffCapMs),
    attemptsMax: attempts,
    healthIntervalMs: healthCheckIntervalMs,
  };
}

export const deliveryPort = <P>(delivery: Delivery<P>): SinkPort => ({
  write: async (points, signal) =>
    (await delivery.write(points as readonly P[], signal)).rejections,
});

const storePort = (put: (points: readonly unknown[]) => Promise<void>): SinkPort => ({
  write: async (points) => {
    await put(points);
    return [];
  },
});

const rawCodecs: ReadonlySet<string> = new Set([voteCodec.name, systemMetricCodec.name]);

const sinkOf = (feed: Topology): string => feed.sinks[0] as string;
