/** `tidemark setup`: topics, buckets and keyspace, as far as the settings name their servers. May be run again. */
import { alertTopics } from '../alerts/index.ts';
import {
  fleetBuckets,
  fluxTasks,
  setupBuckets,
  setupFluxTasks,
  voteBuckets,
} from '../databases/influx/index.ts';
import { setupKairos } from '../databases/kairos/index.ts';
import { MIGRATED_TOPIC } from '../jobs/index.ts';
import { FatalError, TidemarkError } from '../model/index.ts';
import {
  type Clock,
  type Logger,
  type Settings,
  silentLogger,
  systemClock,
} from '../runtime/index.ts';
import { topicsOf } from '../stream/index.ts';
import { alertConfigOf, alertingTopologies } from './alerts.ts';
import { builtInFeeds, influxOf } from './feeds.ts';
import { annotationsTopic } from './fleet.ts';
import { builtInTopologies } from './load-topologies.ts';
import { openBroker } from './open-broker.ts';
import { pointsFeed, pointsTopicOf } from './points/points-feed.ts';

export interface SetupStep {
  /** `topic votes (4 partitions)`, `bucket vote-latencies-raw`. */
  readonly what: string;
  readonly outcome: 'made' | 'kept';
}

export interface SetupOptions {
  /** Whether InfluxDB is to make rollups of its own too. */
  readonly fluxTasks?: boolean | undefined;
}

export async function setUp(
  settings: Settings,
  options: SetupOptions = {},
  logger: Logger = silentLogger,
  clock: Clock = systemClock,
): Promise<readonly SetupStep[]> {
  const influx = influxOf(settings);
  if (options.fluxTasks && influx === undefined) {
    throw new FatalError('Flux tasks are InfluxDB’s: set INFLUX_URL, INFLUX_ORG and INFLUX_TOKEN', {
      code: 'SETTINGS_INCOMPLETE',
    });
  }
  const steps = [...(await setUpTopics(settings, logger, clock))];
  if (influx !== undefined) {
    for (const { bucket, done, detail } of await setupBuckets(influx, [
      ...voteBuckets,
      ...fleetBuckets,
    ])) {
      steps.push({
        what: `bucket ${bucket} (${detail})`,
        outcome: done === 'kept' ? 'kept' : 'made',
      });
    }
    const tasks = options.fluxTasks ? fluxTasks() : [];
    for (const { task, done } of await setupFluxTasks(influx, tasks)) {
      steps.push({
        what: `task ${task}${done === 'changed' ? ' (another script)' : ''}`,
        outcome: done === 'kept' ? 'kept' : 'made',
      });
    }
  }
  if (settings.cassandra.hosts.length > 0) {
    for (const { name, state, note } of await setupKairos(settings.cassandra, clock)) {
      steps.push({
        what: note === undefined ? name : `${name} (${note})`,
        outcome: state === 'made' ? 'made' : 'kept',
      });
    }
  }
  return steps;
}

/** Topics only: what needs no server but the log. */
export async function setUpTopics(
  settings: Settings,
  logger: Logger = silentLogger,
  clock: Clock = systemClock,
): Promise<readonly SetupStep[]> {
  const feeds = builtInFeeds.flatMap(({ influx, kairos }) => [...influx, ...kairos]);
  const alerting = alertingTopologies(alertConfigOf(settings));
  const points = pointsFeed(pointsTopicOf(settings));
  const wanted = [...builtInTopologies, ...alerting, ...feeds, points].flatMap(topicsOf);
  // Those of alerts and annotations are made in a certain way, whoever reads them.
  const certain = [...alertTopics, annotationsTopic, { name: MIGRATED_TOPIC }];
  const specs = [...new Map([...wanted, ...certain].map((spec) => [spec.name, spec])).values()];
  const names = specs.map((spec) => spec.name);
  try {
    const broker = await openBroker(settings, clock, logger);
    try {
      const before = new Set((await broker.describeTopics(names)).map((topic) => topic.name));
      await broker.createTopics(specs);
      const after = await broker.describeTopics(names);
      return after.map(({ name, partitions }) => ({
        what: `topic ${name} (${partitions.length} ${partitions.length === 1 ? 'partition' : 'partitions'})`,
        outcome: before.has(name) ? 'kept' : 'made',
      }));
    } finally {
      await broker.close();
    }
  } catch (error) {
    // The engine that holds the embedded log makes its topics itself when it starts.
    if (error instanceof TidemarkError && error.code === 'DIRECTORY_IN_USE') {
      return names.map((name) => ({
        what: `topic ${name} (the running engine keeps it)`,
        outcome: 'kept',
      }));
    }
    throw error;
  }
}
