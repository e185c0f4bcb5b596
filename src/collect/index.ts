/** Where events come from when no broker brings them: simulators and, on a host, its own readings. */

export { Outbox, type OutboxParts, type SendRecords } from './outbox.ts';
export { type HostPlace, type HostReaderParts, hostReader } from './read-host.ts';
export { recordedVotes } from './recorded-votes.ts';
export { seededRandom } from './seeded-random.ts';
export {
  type FaultKind,
  type FleetFault,
  faultKinds,
  faultOf,
  faultsOf,
  hostName,
  READINGS_PER_HOST,
  type SimulateFleetOptions,
  simulateFleet,
} from './simulate-fleet.ts';
export { type SimulatedVote, simulateVotes, type VoteSimulation } from './simulate-votes.ts';
