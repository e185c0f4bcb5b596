/** Everything a Kafka broker can be opened with; the mapping from `KAFKA_*` variables is made elsewhere. */
import type { ConnectionOptions } from 'node:tls';
import type { Clock, Logger } from '../../runtime/index.ts';
import type { Compression } from './compression.ts';

export interface KafkaSasl {
  readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512';
  readonly username: string;
  readonly password: string;
}

/**
 * Sizes of the consumer's fetches. Memory per consumer is bounded by `bufferBytesMax` + one answer of
 * `fetchBytesMax` per broker, beyond what the credits of its handlers allow; a single larger record batch
 * passes all the same. Packed records count unpacked, by the ratio seen so far.
 */
export interface KafkaFetchOptions {
  /** One answer of one broker, bytes. Default 4 MiB. */
  readonly fetchBytesMax?: number;
  /** One partition's part of an answer, bytes. Default 1 MiB. */
  readonly partitionBytesMax?: number;
  /** Fetched but not handed over, bytes: above it nothing more is asked for. Default 8 MiB. */
  readonly bufferBytesMax?: number;
  /** How long the broker may hold a fetch for which it has nothing, ms. Default 250. */
  readonly waitMs?: number;
}

export interface KafkaOptions {
  /** `host:port`, one or more to begin with. Kafka 2.3 or newer. */
  readonly brokers: readonly string[];
  /** Default `tidemark`. */
  readonly clientId?: string;
  /** true = TLS with the system's authorities; or Node's TLS options (ca, cert, key, servername…). */
  readonly tls?: boolean | ConnectionOptions;
  readonly sasl?: KafkaSasl;
  /** How what we write is packed. Default `lz4`. Everything is read, whatever it is packed with. */
  readonly compression?: Compression;
  readonly fetch?: KafkaFetchOptions;
  /** A silent member loses its partitions after this, ms. Default 10 000 (Kafka's own lower limit is 6 000). */
  readonly sessionTimeoutMs?: number;
  /** Restart the fetches of a partition that has records to read and got none for this long, ms. Default 30 000. */
  readonly stallTimeoutMs?: number;
  /** Copies of each partition of topics that we make. Default: the smaller of 3 and the number of brokers. */
  readonly replicationFactor?: number;
  /** Without an answer for this long a request has failed, ms. Default 30 000. */
  readonly requestTimeoutMs?: number;
  /** How long appends and commits keep trying while the cluster is away or changing, ms. Default 30 000. */
  readonly retryForMs?: number;
  readonly clock?: Clock;
  readonly logger?: Logger;
}
