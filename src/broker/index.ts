/** The log beneath everything: its contract, and the two that keep it. */
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
export {
  type Compression,
  type KafkaFetchOptions,
  type KafkaOptions,
  type KafkaSasl,
  openKafkaBroker,
} from './kafka/index.ts';
export * from './partitioner.ts';
