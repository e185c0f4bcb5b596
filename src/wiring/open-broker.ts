/** Which log runs beneath: Kafka when brokers are named, else the embedded one in the data directory. */
import { readFile } from 'node:fs/promises';
import {
  type Broker,
  type EmbeddedBroker,
  openEmbeddedBroker,
  openKafkaBroker,
} from '../broker/index.ts';
import { FatalError, hours, messageOf } from '../model/index.ts';
import type { Clock, Logger, Settings } from '../runtime/index.ts';

export async function openBroker(
  settings: Settings,
  clock: Clock,
  logger: Logger,
): Promise<Broker> {
  const { kafka } = settings;
  if (kafka.brokers.length === 0) {
    return openEmbeddedBroker({
      directory: settings.data,
      clock,
      logger,
      defaultPartitions: settings.partitions,
      defaultRetentionMs: settings.retentionHours === 0 ? -1 : hours(settings.retentionHours),
    });
  }
  const { mechanism, username, password } = kafka.sasl;
  if (mechanism !== undefined && (username === undefined || password === undefined)) {
    throw new FatalError(
      'KAFKA_SASL_MECHANISM is set; set KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD too',
      {
        code: 'SETTINGS_INCOMPLETE',
      },
    );
  }
  return openKafkaBroker({
    brokers: kafka.brokers,
    sessionTimeoutMs: kafka.sessionTimeoutMs,
    clock,
    logger,
    ...(kafka.tls.enabled
      ? { tls: kafka.tls.ca === undefined ? true : { ca: await pem(kafka.tls.ca) } }
      : {}),
    ...(mechanism === undefined || username === undefined || password === undefined
      ? {}
      : { sasl: { mechanism, username, password: password.reveal() } }),
  });
}

/** The embedded broker tells commands on this machine where the service listens. */
export function announcePort(broker: Broker, port: number): void {
  if (broker.kind === 'embedded') (broker as EmbeddedBroker).announcePort(port);
}

async function pem(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new FatalError(`KAFKA_TLS_CA can't be read: ${messageOf(error)}`, {
      code: 'SETTINGS_INCOMPLETE',
      cause: error,
    });
  }
}
