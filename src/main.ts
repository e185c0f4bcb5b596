/**
 * The only place where parts are chosen and joined: the log, the topologies, the feeds, the service. Everything
 * else takes what it needs as arguments. `startEngine` is a whole Tidemark in this process; roles pick its parts.
 */
import { fleetMetrics, voteLatency } from '../topologies/index.ts';
import type { AlertConfig } from './alerts/index.ts';
import {
  createServer,
  type EngineView,
  type TelnetServer,
  type TopologyView,
} from './api/index.ts';
import type { Broker } from './broker/index.ts';
import {
  explain,
  type Jobs,
  MIGRATED_TOPIC,
  Replays,
  type RollupScheduler,
  replayKind,
  verifyKind,
} from './jobs/index.ts';
import {
  type Clock,
  createLogger,
  isLoopback,
  type Logger,
  type Role,
  type Settings,
  silentLogger,
  systemClock,
} from './runtime/index.ts';
import { type SinkPort, type Task, type Topology, TopologyRunner } from './stream/index.ts';
import { version } from './version.ts';
import { type Agent, startAgent } from './wiring/agent.ts';
import { Alerting, alertConfigOf, alertingTopologies, alertsOf } from './wiring/alerts.ts';
import { cannotListen } from './wiring/cannot-listen.ts';
import { copyJob } from './wiring/copy-job.ts';
import { distributionsFrom } from './wiring/distributions.ts';
import {
  type BoundFeed,
  type Databases,
  type FeedSet,
  influxOf,
  kairosWriteOptions,
  openDatabases,
} from './wiring/feeds.ts';
import { annotationsFrom, fleetFrom, topicsBefore } from './wiring/fleet.ts';
import { openHistory } from './wiring/history.ts';
import { LiveAt } from './wiring/live-at.ts';
import { liveVotes } from './wiring/live-votes.ts';
import { builtInTopologies, loadTopologies } from './wiring/load-topologies.ts';
import { migrateJob } from './wiring/migrate-job.ts';
import { migratedRollups, migratedTopologies } from './wiring/migrated-votes.ts';
import { announcePort, openBroker } from './wiring/open-broker.ts';
import { openJobs } from './wiring/open-jobs.ts';
import { openTelnet } from './wiring/open-telnet.ts';
import { Points } from './wiring/points/index.ts';
import { openRollups } from './wiring/rollups.ts';
import type { RunningFeed } from './wiring/running-feed.ts';
import { Sinks } from './wiring/sinks.ts';
import { storedQueries } from './wiring/stored-queries.ts';
import { drawingOf, taskView } from './wiring/topology-view.ts';
import { verifiedSinks } from './wiring/verified/index.ts';

export interface EngineOptions {
  /** Default: the settings'. */
  readonly roles?: readonly Role[];
  /** Names, files, or topologies; default all that come with Tidemark. */
  readonly topologies?: readonly (string | Topology)[];
  /** Default: those that come with Tidemark, of the topologies that run here. */
  readonly feeds?: FeedSet;
  /** Of KairosDB's points on their way to the store. Default: by the keyspace. */
  readonly pointsTopic?: string;
  readonly clock?: Clock;
  readonly logger?: Logger;
}

export interface Engine {
  readonly view: EngineView;
  readonly broker: Broker;
  /** Where the service listens; undefined without the role `api`. */
  readonly url: string | undefined;
  /** A recording is through: closes every window of this topology and commits. */
  finish(topology: string): Promise<void>;
  /** Drains: commits what is done, lets sinks finish for a few seconds, closes everything. */
  stop(): Promise<void>;
}

/** Raw bytes a topic is keyed by when a publisher gives no key. */
const KEY_FIELDS: Readonly<Record<string, string>> = {
  votes: 'validator',
  'system.metrics': 'host',
};

const keyFieldOf = (topologies: readonly Topology[], topic: string): string | undefined =>
  topologies
    .flatMap(({ sources }) => sources)
    .find((source) => source.topic === topic && source.key !== undefined)?.key;

/** @throws FatalError when settings or data can't be used; nothing runs then. */
export async function startEngine(
  settings: Settings,
  options: EngineOptions = {},
): Promise<Engine> {
  const clock = options.clock ?? systemClock;
  const logger =
    options.logger ??
    (settings.logLevel === 'silent' ? silentLogger : createLogger({ level: settings.logLevel }));
  const roles = new Set(options.roles ?? settings.roles);
  const alerts = alertConfigOf(settings);
  const topologies =
    options.topologies === undefined
      ? [...builtInTopologies, ...alertingTopologies(alerts)]
      : await loadTopologies(options.topologies);
  const broker = await openBroker(settings, clock, logger);
  const engine = new RunningEngine({
    settings,
    clock,
    logger,
    roles,
    topologies,
    alerts,
    alerting: options.topologies === undefined,
    feeds: options.feeds,
    pointsTopic: options.pointsTopic,
    broker,
  });
  try {
    await engine.start();
    return engine;
  } catch (error) {
    await engine.stop();
    throw error;
  }
}

export { startAgent } from './wiring/agent.ts';
export { type SetupStep, setUp } from './wiring/set-up.ts';

interface Parts {
  readonly settings: Settings;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly roles: ReadonlySet<Role>;
  readonly topologies: readonly Topology[];
  readonly feeds: FeedSet | undefined;
  readonly pointsTopic: string | undefined;
  readonly alerts: AlertConfig;
  /** Whether rules are judged and channels told here; else alerts are only shown. */
  readonly alerting: boolean;
  readonly broker: Broker;
}

class RunningEngine implements Engine {
  readonly broker: Broker;
  readonly view: EngineView;
  url: string | undefined;
  readonly #parts: Parts;
  readonly #runners: TopologyRunner[] = [];
  #sinks: Sinks | undefined;
  #databases: Databases | undefined;
  #points: Points | undefined;
  #telnet: TelnetServer | undefined;
  #stored: EngineView['stored'];
  #history: EngineView['history'] | undefined;
  #alerting: Alerting | undefined;
  #jobs: Jobs | undefined;
  #rollups: RollupScheduler | undefined;
  #agent: Agent | undefined;
  #server: Awaited<ReturnType<typeof createServer>> | undefined;
  readonly #liveAt: LiveAt;
  #stopping: Promise<void> | undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.broker = parts.broker;
    const { broker, clock } = parts;
    this.#liveAt = new LiveAt({ broker, clock, liveLag: () => this.#liveLag() });
    this.view = this.#makeView();
  }

  async start(): Promise<void> {
    const { settings, clock, logger, roles, topologies, broker, feeds: given } = this.#parts;
    this.#stored = storedQueries(settings, clock);
    this.#databases = await openDatabases(settings, clock, logger, given && [given]);
    const { feeds, kairos: store, rollups } = this.#databases;
    this.#history = openHistory(settings, { rollups, clock, logger });
    const { pointsTopic: topic } = this.#parts;
    const write = kairosWriteOptions;
    const blocked = (name: string) => this.#sinks?.blocked(name);
    this.#points = new Points({ settings, broker, clock, logger, store, write, blocked, topic });
    const replayed = migratedTopologies(new Set(feeds.map(({ sink }) => sink)));
    const replays = replayKind({
      broker,
      clock,
      topologies: [...topologies, ...replayed],
      feeds: feeds.map(({ feed }) => feed),
      sinks: new Map<string, SinkPort>(feeds.map(({ sink, port }) => [sink, port])),
      liveLag: () => this.#liveLag(),
    });
    this.#rollups = openRollups(settings, { store: this.#databases.kairos, clock, logger });
    const verify = verifyKind({
      broker,
      sinks: () =>
        verifiedSinks({
          ...(this.#databases as Databases),
          feeds: this.#allFeeds(),
          replayed,
          influx: influxOf(settings),
          clock,
        }),
    });
    const copy = copyJob(settings, clock);
    const migrate = migrateJob({ settings, clock, view: this.view });
    const kinds = [replays, verify, copy, migrate];
    this.#jobs = openJobs(settings, { kinds, clock, logger });
    const policy = { intervalMs: settings.epochs.intervalMs };
    if (this.#parts.alerting && roles.size > 0) {
      const { alerts: config } = this.#parts;
      this.#alerting = new Alerting({ settings, config, broker, clock, logger }, () => ({
        feeds: this.#running.map(({ bound }) => bound),
        topologies: this.#runners.map(({ topology: { name }, tasks }) => ({ name, tasks })),
      }));
      await this.#alerting.start(roles.has('engine'));
    }
    if (roles.has('engine')) {
      // Old votes may come beside live ones (migrate-votes).
      if (topologies.includes(voteLatency)) await broker.createTopics([{ name: MIGRATED_TOPIC }]);
      for (const topology of topologies) {
        const runner = new TopologyRunner({ topology, broker, clock, logger, policy });
        this.#runners.push(runner);
        await runner.start();
      }
    }
    this.#sinks = new Sinks({
      feeds: this.#allFeeds(),
      broker,
      clock,
      logger,
      policy,
      settings,
      topologies,
    });
    if (roles.has('sinks')) {
      await broker.createTopics(topicsBefore(this.#allFeeds().map(({ feed }) => feed)));
      await this.#sinks.start();
    }
    // What an engine with roles had begun goes on; a command's own engine does only what it is asked.
    if (roles.size > 0) this.#jobs.resumeAll();
    if (roles.has('ingest')) {
      this.#telnet = await openTelnet(await this.#points.open(), { settings, clock, logger });
    }
    if (roles.has('agent')) {
      this.#agent = await startAgent({ settings, clock, logger, broker });
    }
    // The doors of KairosDB are HTTP too; alone they bring only what looks after the process.
    if (roles.has('api') || roles.has('ingest') || roles.has('query')) await this.#listen();
    if (roles.has('query') && settings.rollups.enabled) this.#rollups.start();
  }

  async finish(topology: string): Promise<void> {
    await this.#runners.find((runner) => runner.topology.name === topology)?.finish();
    await Promise.all(this.#running.map((feed) => feed.runner.settled()));
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    await this.#telnet?.close();
    await this.#server?.close();
    await this.#agent?.stop();
    await this.#points?.log?.stop();
    await this.#liveAt.stop();
    await this.#jobs?.close();
    await this.#alerting?.stop();
    await this.#rollups?.stop();
    await Promise.all(this.#runners.map((runner) => runner.stop()));
    await this.#sinks?.stop();
    await this.#points?.close();
    await this.#alerting?.close();
    await this.#databases?.close();
    await this.broker.close();
  }

  async #listen(): Promise<void> {
    const { settings, clock, logger, roles } = this.#parts;
    const { tokens, host, port, http, queries } = settings;
    if (!isLoopback(host) && tokens.length === 0) {
      logger.warn(
        { host },
        'the service listens beyond this machine and asks nobody for a token; set TIDEMARK_TOKENS',
      );
    }
    const kairosOnly = !roles.has('api');
    this.#server = await createServer(this.view, {
      tokens,
      ...http,
      queries,
      kairosOnly,
      clock,
      logger,
    });
    this.url = await this.#server.listen({ host, port }).catch((error: unknown) => {
      throw cannotListen(error, host, port);
    });
    announcePort(this.broker, Number(new URL(this.url).port));
    logger.info({ url: this.url }, 'listening');
  }

  /** Feeds of rollups are of use only where these are derived, here or elsewhere. */
  #wantedFeeds(feeds: readonly BoundFeed[]): readonly BoundFeed[] {
    const { topologies } = this.#parts;
    return feeds.filter(({ of }) => of === undefined || topologies.includes(of));
  }

  #allFeeds(): readonly BoundFeed[] {
    const points = this.#points === undefined ? [] : [this.#points.bound];
    return [
      ...this.#wantedFeeds(this.#databases?.feeds ?? []),
      ...points,
      ...(this.#alerting?.feeds ?? []),
    ];
  }

  get #running(): readonly RunningFeed[] {
    return this.#sinks?.running ?? [];
  }

  #tasks(name: string): readonly Task[] {
    return this.#runners.find((runner) => runner.topology.name === name)?.tasks ?? [];
  }

  #liveLag(): number {
    return this.#runners
      .flatMap((runner) => runner.tasks)
      .flatMap((task) => task.offsets())
      .reduce((sum, offset) => sum + offset.lag, 0);
  }

  #makeView(): EngineView {
    const { broker, clock, topologies, roles } = this.#parts;
    const points = () => this.#points;
    const jobs = () => this.#jobs as Jobs;
    const replays = () => new Replays(jobs());
    const databases = () => this.#databases;
    const stored = () => this.#stored;
    const sinks = () => this.#sinks as Sinks;
    return {
      version,
      broker,
      get kairos() {
        return databases()?.kairos;
      },
      get ingest() {
        return points()?.log;
      },
      answersQueries: roles.has('query'),
      keyField: (topic) => KEY_FIELDS[topic] ?? keyFieldOf(topologies, topic),
      watermark: (topic, partition) => this.#watermark(topic, partition),
      topologies: () =>
        [...topologies, ...this.#running.map(({ bound }) => bound.feed)].map((t) =>
          this.#topologyView(t),
        ),
      live: liveVotes(
        () => this.#tasks(voteLatency.name),
        clock,
        (scope, id) => this.#databases?.rollups.newest({ scope, id, step: '5m' }),
      ),
      liveAt: async (atMs) => this.#liveAt.at(atMs),
      history: {
        points: (query) => (this.#history as EngineView['history']).points(query),
        quantile: (query) => (this.#history as EngineView['history']).quantile(query),
      },
      get stored() {
        return stored();
      },
      distributions: distributionsFrom(
        () => this.#tasks(voteLatency.name),
        () => (this.#databases as Databases).rollups,
      ),
      replays: {
        start: (request) => replays().start(request),
        list: () => replays().list(),
        get: (id) => replays().get(id),
        cancel: (id) => replays().cancel(id),
      },
      rollups: { list: async () => (await this.#rollups?.list()) ?? [] },
      explain: (text, name, signal) =>
        explain(text, name, { broker, topologies: [...topologies, migratedRollups], signal }),
      get jobs() {
        return jobs();
      },
      fleet: fleetFrom({
        store: () => (databases() as Databases).fleet,
        tasks: () => this.#tasks(fleetMetrics.name),
        clock,
      }),
      annotations: annotationsFrom({
        store: () => (databases() as Databases).fleet,
        broker,
        clock,
      }),
      alerts: alertsOf(this.#parts.alerts, { broker, clock }),
      backlog: () => sinks().backlog(),
      flushBacklog: (sink) => sinks().flush(sink),
      clearBacklog: (sink) => sinks().clear(sink),
      pauseSinks: (names, paused) => sinks().setPaused(names, paused),
      blocked: (topic) => this.#sinks?.blocked(topic),
      readiness: () => this.#readiness(),
      health: () => this.#health(),
    };
  }

  #watermark(topic: string, partition: number): number | null {
    for (const runner of this.#runners) {
      const task = runner.tasks.find(
        (t) => t.partition === partition && t.instance.topics.includes(topic),
      );
      const watermark = task?.instance.watermarks()[topic];
      if (watermark !== undefined && Number.isFinite(watermark)) return watermark;
    }
    return null;
  }

  #topologyView(topology: Topology): TopologyView {
    const feed = this.#running.find(({ bound }) => bound.feed === topology);
    const tasks = feed === undefined ? this.#tasks(topology.name) : feed.runner.tasks;
    return {
      ...drawingOf(topology),
      tasks: tasks.map(taskView),
    };
  }

  #readiness(): { ready: boolean; reasons: readonly string[] } {
    const reasons = [...this.#health().reasons];
    for (const runner of [...this.#runners, ...this.#running.map((feed) => feed.runner)]) {
      for (const task of runner.tasks) {
        if (task.state === 'starting' || task.state === 'restoring') {
          reasons.push(`${runner.topology.name} partition ${task.partition} is ${task.state}`);
        }
      }
    }
    return { ready: reasons.length === 0, reasons };
  }

  #health(): { healthy: boolean; reasons: readonly string[] } {
    const reasons: string[] = [];
    for (const runner of [...this.#runners, ...this.#running.map((feed) => feed.runner)]) {
      if (runner.failure !== undefined)
        reasons.push(
          `${runner.topology.name} lost its place in the log: ${runner.failure.message}`,
        );
      for (const task of runner.tasks) {
        if (task.state === 'failed') {
          reasons.push(
            `${runner.topology.name} partition ${task.partition} is stopped after repeated crashes: ${task.error?.message}`,
          );
        }
      }
    }
    return { healthy: reasons.length === 0, reasons };
  }
}
