/** Outage-proof delivery: what a sink must offer, and the wrapper that batches, retries and watches over it. */

export { type AttemptOptions, attempt } from './attempt.ts';
export { type BackoffPolicy, backoffMs, type Wait } from './backoff.ts';
export type { BreakerState } from './breaker.ts';
export { Breaker } from './breaker.ts';
export * from './contract.ts';
export { Delivery, type DeliveryParts, type DeliveryState, deliver } from './delivery.ts';
export {
  type DeliveryPolicy,
  defaultDeliveryPolicy,
  deliveryPolicy,
  deliveryPolicySchema,
} from './policy.ts';
export type { SinkFailure } from './sink-link.ts';
