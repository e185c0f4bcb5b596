/**
 * The agent: this host's readings at an interval, into an engine. In an engine's own process on the embedded log they
 * are appended at once, since that log is as durable as an outbox; on the way to anything else they go through one.
 */
import { hostname } from 'node:os';
import { join } from 'node:path';
import { fleetMetricsTopics } from '../../topologies/index.ts';
import { type Broker, openEmbeddedBroker, readOwner } from '../broker/index.ts';
import { hostReader, Outbox, type SendRecords } from '../collect/index.ts';
import { FatalError, hours, messageOf, RetriableError, seconds } from '../model/index.ts';
import type { Clock, Logger, Settings } from '../runtime/index.ts';
import { openBroker } from './open-broker.ts';

export interface AgentParts {
  readonly settings: Settings;
  readonly clock: Clock;
  readonly logger: Logger;
  /** The engine's own log, when it runs in this process. */
  readonly broker?: Broker;
  /** Address of an engine; absent: Kafka when it is named, else the engine of this data directory or port. */
  readonly to?: string;
  /** Absent: the topic of the contract. */
  readonly topic?: string;
}

export interface Agent {
  /** Readings taken since start. */
  readonly taken: number;
  /** Readings that wait in the outbox; 0 without one. */
  waiting(): Promise<number>;
  stop(): Promise<void>;
}

const TOPIC = fleetMetricsTopics.metrics;
const ANSWER_MS = seconds(30);

export async function startAgent(parts: AgentParts): Promise<Agent> {
  const { settings, clock, logger, broker, topic = TOPIC } = parts;
  const { agent } = settings;
  const outbox = broker?.kind === 'embedded' ? undefined : await openOutbox(parts);
  await outbox?.start();
  let taken = 0;
  const read = hostReader({
    place: {
      host: agent.host ?? hostname(),
      region: agent.region,
      environment: agent.environment,
      ...(agent.service === undefined ? {} : { service: agent.service }),
    },
    clock,
    failed: (part, error) => logger.warn({ part, error: messageOf(error) }, 'part not read'),
  });
  let reading: Promise<void> | undefined;
  const take = async (): Promise<void> => {
    const records = (await read()).map((metric) => ({
      key: metric.host,
      value: JSON.stringify(metric),
    }));
    if (outbox === undefined) await broker?.append(topic, records);
    else await outbox.add(records);
    taken += records.length;
  };
  const tick = () => {
    // A host too busy to answer in time skips a turn, rather than having two at once.
    reading ??= take()
      .catch((error) => logger.error({ error: messageOf(error) }, 'readings of this host are lost'))
      .finally(() => {
        reading = undefined;
      });
  };
  if (outbox === undefined) await broker?.createTopics([{ name: topic }]);
  tick();
  const stopTicking = clock.every(agent.intervalMs, tick);
  return {
    get taken() {
      return taken;
    },
    waiting: async () => (await outbox?.waiting()) ?? 0,
    async stop() {
      stopTicking();
      await reading;
      await outbox?.stop();
    },
  };
}

async function openOutbox(parts: AgentParts): Promise<Outbox> {
  const { settings, clock, logger, to, topic = TOPIC } = parts;
  const log = await openEmbeddedBroker({
    directory: join(settings.data, 'agent'),
    clock,
    logger,
    defaultPartitions: 1,
  });
  const send =
    to === undefined && settings.kafka.brokers.length > 0
      ? sendToKafka(topic, settings, clock, logger)
      : sendOverHttp(topic, settings, to);
  return new Outbox({
    log,
    send,
    clock,
    logger,
    bytesMax: settings.agent.outboxBytesMax,
    ageMsMax: hours(settings.agent.outboxHours),
  });
}

function sendToKafka(topic: string, settings: Settings, clock: Clock, logger: Logger): SendRecords {
  let opened: Broker | undefined;
  return async (records) => {
    if (opened === undefined) {
      const broker = await openBroker(settings, clock, logger);
      try {
        await broker.createTopics([{ name: topic }]);
      } catch (error) {
        await broker.close();
        throw error;
      }
      opened = broker;
    }
    await opened.append(topic, records);
  };
}

function sendOverHttp(topic: string, settings: Settings, to: string | undefined): SendRecords {
  if (to !== undefined && !(/^https?:\/\//.test(to) && URL.canParse(to))) {
    throw new FatalError(`--to: expected an address such as http://127.0.0.1:8080, got ${to}`, {
      code: 'CONFIG_INVALID',
      context: { name: '--to' },
    });
  }
  const token = settings.tokens[0]?.reveal();
  return async (records, signal) => {
    const url = (to ?? (await localEngine(settings))).replace(/\/+$/, '');
    const body = records.map(({ value }) => String(value)).join('\n');
    const response = await fetch(`${url}/v1/topics/${topic}/records`, {
      method: 'POST',
      body,
      headers: {
        'content-type': 'application/x-ndjson',
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
      signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]),
    });
    const answer = await response.text();
    if (response.ok) return;
    throw new RetriableError(`${url} answered ${response.status}: ${answer.slice(0, 300)}`, {
      code: 'ENGINE_REFUSED',
    });
  };
}

/** Looked up each time: an engine that starts later, or again, may have another port. */
async function localEngine({ data, port }: Settings): Promise<string> {
  const owner = await readOwner(data);
  return `http://127.0.0.1:${owner?.port ?? port}`;
}
