/** The log beneath everything: its contract, and the two that keep it. */
export * from './contract.ts';
export {
  type EmbeddedBroker,
  type EmbeddedBrokerOptions,
  openEmbeddedBroker,
} from './embedded/broker.ts';
export { type EngineOwner, readOwner } from './embedded/owner.ts';
export * from './partitioner.ts';
