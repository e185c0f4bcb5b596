/** The log on a Kafka cluster. */
export { openKafkaBroker } from './broker.ts';
export type { Compression } from './compression.ts';
export type { KafkaFetchOptions, KafkaOptions, KafkaSasl } from './options.ts';
