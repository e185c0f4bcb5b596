/**
 * Alerts, joined: the rules' topologies, the one that decides who is told, a feed a channel and one for the
 * history, the ticks of the wall clock that decisions need, and what the engine measures of itself.
 */
import { alertHistoryFeed, alertTopologies } from '../../topologies/index.ts';
import {
  ALARM,
  ALERT_TICKS,
  ALERTS,
  type Alarm,
  AlertBook,
  type AlertConfig,
  createAlertTopics,
  decideTopology,
  describeRule,
  HEALTH,
  loadAlertConfig,
  openChannel,
  sendTopology,
} from '../alerts/index.ts';
import type { Alerts } from '../api/index.ts';
import type { Broker } from '../broker/index.ts';
import { InfluxSink } from '../databases/influx/index.ts';
import { type Delivery, deliver, type Sink } from '../delivery/index.ts';
import { messageOf, seconds } from '../model/index.ts';
import { type Clock, type Logger, random, type Settings } from '../runtime/index.ts';
import type { Task, Topology } from '../stream/index.ts';
import { type BoundFeed, deliveryPolicyOf, deliveryPort, influxOf } from './feeds.ts';
import { HealthValues, type Measured } from './health-values.ts';

const TICK_MS = 500;
const HEALTH_MS = seconds(10);
/** Of one notification. */
const SEND_TIMEOUT_MS = seconds(15);

/** @throws FatalError when the alerts file is wrong. */
export function alertConfigOf(settings: Settings): AlertConfig {
  const { file, slackUrl, webhookUrl, webhookSecret } = settings.alerts;
  return loadAlertConfig({ file, slackUrl, webhookUrl, webhookSecret });
}

/** All that judge and decide; they run where the engine runs. */
export const alertingTopologies = (config: AlertConfig): readonly Topology[] => [
  ...alertTopologies(config.rules),
  decideTopology({ channels: config.channels, policy: config.notifications }),
];

export interface AlertingParts {
  readonly settings: Settings;
  readonly config: AlertConfig;
  readonly broker: Broker;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Feeds to the channels, and to InfluxDB's history when it is named. */
function alertFeeds({ settings, config, clock, logger }: AlertingParts): readonly BoundFeed[] {
  const parts = { clock, log: logger, random };
  const base = deliveryPolicyOf(settings);
  const bound = <P>(feed: Topology, sink: Sink<P>, policy: object): BoundFeed => {
    const delivery = deliver(sink, { ...base, ...policy, writersMax: 1 }, parts);
    return {
      feed,
      sink: feed.sinks[0] as string,
      port: deliveryPort(delivery),
      delivery: delivery as unknown as Delivery<never>,
      group: feed.group(0),
    };
  };
  // One by one: what was delivered before a failure is not sent again.
  const alone = { batchPointsMax: 1, flushIntervalMs: 0, attemptTimeoutMs: SEND_TIMEOUT_MS };
  const feeds = config.channels.map((channel) =>
    bound(sendTopology(channel), openChannel(channel, { clock, logger }), alone),
  );
  const influx = influxOf(settings);
  if (influx !== undefined) {
    const sink = new InfluxSink({ config: influx, bucket: 'alerts_history', clock });
    feeds.push(bound(alertHistoryFeed(ALERTS), sink, {}));
  }
  return feeds;
}

const STOP_WITHIN_MS = 5_000;

/** What runs beside the topologies: ticks when a decision waits for one, and own health; and the channels' feeds. */
export class Alerting {
  readonly feeds: readonly BoundFeed[];
  readonly #parts: AlertingParts;
  readonly #measured: () => Measured;
  readonly #health: HealthValues;
  #stops: readonly (() => void)[] = [];
  #ticking: Promise<void> | undefined;
  #measuring: Promise<void> | undefined;

  constructor(parts: AlertingParts, measured: () => Measured) {
    this.#parts = parts;
    this.#measured = measured;
    this.#health = new HealthValues(parts.settings.data, parts.clock);
    this.feeds = alertFeeds(parts);
  }

  /** Before the topologies and feeds start, as it makes their topics. `runs`: the topologies run here. */
  async start(runs: boolean): Promise<void> {
    const { broker, clock } = this.#parts;
    await createAlertTopics(broker);
    if (!runs) return;
    this.#stops = [
      clock.every(TICK_MS, () => {
        this.#ticking ??= this.#tick().finally(() => {
          this.#ticking = undefined;
        });
      }),
      clock.every(HEALTH_MS, () => {
        this.#measuring ??= this.#measure().finally(() => {
          this.#measuring = undefined;
        });
      }),
    ];
  }

  /** Ends ticks and measuring; channels go on until `close`, as feeds may still be sending. */
  async stop(): Promise<void> {
    for (const stop of this.#stops) stop();
    await Promise.all([this.#ticking, this.#measuring]);
  }

  async close(): Promise<void> {
    await Promise.all(this.feeds.map(({ delivery }) => delivery?.stop(STOP_WITHIN_MS)));
  }

  async #tick(): Promise<void> {
    const wakeAtMs = this.#alarm(this.#measured().topologies.flatMap(({ tasks }) => tasks));
    if (wakeAtMs === undefined || wakeAtMs > this.#parts.clock.now()) return;
    await this.#append(ALERT_TICKS, {});
  }

  #alarm(tasks: readonly Task[]): number | undefined {
    for (const task of tasks) {
      const alarm = task.instance.exposed.get(ALARM) as Alarm | undefined;
      if (alarm !== undefined && task.state === 'running') return alarm.wakeAtMs;
    }
    return undefined;
  }

  async #measure(): Promise<void> {
    const record = await this.#health.measure(this.#measured());
    await this.#append(HEALTH, record, record.process);
  }

  /** What can't be written now is of no use later: the next one says it again. */
  async #append(topic: string, value: object, key: string | null = null): Promise<void> {
    try {
      await this.#parts.broker.append(topic, [{ key, value: JSON.stringify(value) }]);
    } catch (error) {
      this.#parts.logger.debug({ topic, error: messageOf(error) }, 'not written');
    }
  }
}

/** Alerts as the service shows them. */
export function alertsOf(
  { rules }: AlertConfig,
  parts: { readonly broker: Broker; readonly clock: Clock },
): Alerts {
  const book = new AlertBook(parts);
  return {
    list: (query) => book.list(query),
    async rules() {
      const firing = await book.firingByRule();
      return rules.map((rule) => {
        const { staleMs: _, ...shown } = rule;
        return { ...shown, description: describeRule(rule), firing: firing.get(rule.name) ?? 0 };
      });
    },
    acknowledge: (id, note) => book.acknowledge(id, note),
    silences: () => book.silences(),
    silence: (given) => book.silence(given),
    endSilence: (id) => book.endSilence(id),
  };
}
