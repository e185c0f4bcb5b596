/** What Kafka's answers and kafkajs' exceptions mean to us: wait, refresh what we know, or stop. */
import {
  FatalError,
  messageOf,
  PoisonError,
  RetriableError,
  TidemarkError,
} from '../../model/index.ts';
import { errorFromCode } from './library.ts';

/** Kafka's protocol error codes that we act on (kafka.apache.org/protocol#protocol_error_codes). */
export const code = {
  none: 0,
  offsetOutOfRange: 1,
  unknownTopicOrPartition: 3,
  messageTooLarge: 10,
  duplicateSequenceNumber: 46,
  outOfOrderSequenceNumber: 45,
  unknownProducerId: 59,
  recordListTooLarge: 18,
} as const;

/** The protocol error's name ("REBALANCE_IN_PROGRESS"), also when kafkajs wrapped it; undefined for others. */
export function typeOf(error: unknown): string | undefined {
  for (let at = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth++) {
    const type = (at as { type?: unknown }).type;
    if (type === 'KAFKAJS_UNKNOWN_ERROR_CODE') {
      // Newer than kafkajs 2.2.4: PRODUCER_FENCED.
      if (/\b90$/.test(at.message)) return 'PRODUCER_FENCED';
      return type;
    }
    if (typeof type === 'string') return type;
  }
  return undefined;
}

export const typeOfCode = (errorCode: number): string => errorFromCode(errorCode).type;

const STALE_LEADER = new Set([
  'UNKNOWN_TOPIC_OR_PARTITION',
  'LEADER_NOT_AVAILABLE',
  'NOT_LEADER_FOR_PARTITION',
  'REPLICA_NOT_AVAILABLE',
  'BROKER_NOT_AVAILABLE',
  'FENCED_LEADER_EPOCH',
  'UNKNOWN_LEADER_EPOCH',
  'KAFKA_STORAGE_ERROR',
  'OFFSET_NOT_AVAILABLE',
  'LISTENER_NOT_FOUND',
]);

/** The broker asked isn't (or isn't yet) the one to ask: look up the leader again. */
export const isStaleLeader = (error: unknown): boolean => STALE_LEADER.has(typeOf(error) ?? '');

const STALE_COORDINATOR = new Set([
  'GROUP_LOAD_IN_PROGRESS',
  'GROUP_COORDINATOR_NOT_AVAILABLE',
  'NOT_COORDINATOR_FOR_GROUP',
]);

/** The group's or transaction's coordinator moved or is starting: look it up again. */
export const isStaleCoordinator = (error: unknown): boolean =>
  STALE_COORDINATOR.has(typeOf(error) ?? '');

const TRANSIENT = new Set([
  'REQUEST_TIMED_OUT',
  'NETWORK_EXCEPTION',
  'NOT_ENOUGH_REPLICAS',
  'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
  'CORRUPT_MESSAGE',
  'NOT_CONTROLLER',
]);

/** The server's certificate was refused: trying again would not change that. */
const isCertificateRefused = (error: unknown): boolean =>
  /CERT|UNABLE_TO_|SELF_SIGNED/.test(String((error as { code?: unknown } | undefined)?.code));

/** No answer, or none that says whether it happened: connection lost, timed out, no broker reached. */
export function isUnreachable(error: unknown): boolean {
  if (typeOf(error) !== undefined || isCertificateRefused(error)) return false;
  const name = error instanceof Error ? error.name : '';
  return (
    name === 'KafkaJSConnectionError' ||
    name === 'KafkaJSConnectionClosedError' ||
    name === 'KafkaJSRequestTimeoutError' ||
    name === 'KafkaJSLockTimeout' ||
    (error instanceof TidemarkError && error.code === 'KAFKA_UNREACHABLE')
  );
}

/** Trying the same request again may succeed. */
export const isTransient = (error: unknown): boolean =>
  isUnreachable(error) ||
  isStaleLeader(error) ||
  isStaleCoordinator(error) ||
  TRANSIENT.has(typeOf(error) ?? '');

export const isFenced = (error: unknown): boolean => {
  const type = typeOf(error);
  return (
    type === 'INVALID_PRODUCER_EPOCH' ||
    type === 'PRODUCER_FENCED' ||
    type === 'TRANSACTION_COORDINATOR_FENCED'
  );
};

/** Anything thrown, as one of our families, saying what was being done. */
export function asTidemarkError(
  error: unknown,
  doing: string,
  context: Readonly<Record<string, unknown>> = {},
): TidemarkError {
  if (error instanceof TidemarkError) return error;
  const type = typeOf(error);
  const message = `${doing}: ${messageOf(error)}`;
  if (type === 'MESSAGE_TOO_LARGE' || type === 'RECORD_LIST_TOO_LARGE') {
    return new PoisonError(
      `${message} Raise max.message.bytes of the topic, or send smaller records.`,
      { code: 'RECORD_TOO_LARGE', cause: error, context },
    );
  }
  if (type?.includes('AUTHORIZATION_FAILED')) {
    return new FatalError(`${message} Grant the principal the rights it lacks.`, {
      code: 'KAFKA_NOT_AUTHORIZED',
      cause: error,
      context,
    });
  }
  if (
    type?.startsWith('SASL') ||
    type === 'ILLEGAL_SASL_STATE' ||
    type === 'UNSUPPORTED_SASL_MECHANISM' ||
    (error instanceof Error && error.name === 'KafkaJSSASLAuthenticationError')
  ) {
    return new FatalError(`${message} Check KAFKA_SASL_* (mechanism, username, password).`, {
      code: 'KAFKA_NOT_AUTHENTICATED',
      cause: error,
      context,
    });
  }
  if (isCertificateRefused(error)) {
    return new FatalError(
      `${message}. Give the authority that signed it (KAFKA_TLS with its ca).`,
      {
        code: 'KAFKA_CERTIFICATE_REFUSED',
        cause: error,
        context,
      },
    );
  }
  if (isUnreachable(error)) {
    return new RetriableError(message, { code: 'KAFKA_UNREACHABLE', cause: error, context });
  }
  if (isTransient(error)) {
    return new RetriableError(message, { code: 'KAFKA_NOT_READY', cause: error, context });
  }
  return new FatalError(message, { code: 'KAFKA_REFUSED', cause: error, context });
}

export const unknownTopic = (topic: string): FatalError =>
  new FatalError(`topic ${topic} does not exist; create it (tidemark setup) or mend its name`, {
    code: 'UNKNOWN_TOPIC',
    context: { topic },
  });
