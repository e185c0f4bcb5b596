/** The log beneath everything: its contract, and the two that keep it. */
import type { Broker } from './contract.ts';
import type { KafkaOptions } from './kafka/index.ts';

export * from './contract.ts';
export {
  type EmbeddedBroker,
  type EmbeddedBrokerOptions,
  openEmbeddedBroker,
} from './embedded/broker.ts';
export {
  copyEnvironment,
  type EnvironmentProof,
  environmentsBelow,
  hashOfFile,
  proveEnvironment,
} from './embedded/environment.ts';
export { type EngineOwner, readOwner } from './embedded/owner.ts';
export type { Compression, KafkaFetchOptions, KafkaOptions, KafkaSasl } from './kafka/index.ts';
export * from './partitioner.ts';

/** On a Kafka cluster; its client is loaded by the first who asks for it. */
export async function openKafkaBroker(options: KafkaOptions): Promise<Broker> {
  const kafka = await import('./kafka/index.ts');
  return kafka.openKafkaBroker(options);
}
