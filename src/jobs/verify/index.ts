/** Verifying sinks against their topics. */
export type { PointForm, Removal, Retention, VerifiedFeed, VerifiedSink } from './contract.ts';
export {
  type VerifyInput,
  type VerifyParts,
  type VerifyRequest,
  type VerifyResult,
  verifyKind,
} from './verify.ts';
