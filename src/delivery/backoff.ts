/**
 * How long to wait before the next attempt. Full jitter (Brooker, "Exponential Backoff and Jitter", AWS
 * Architecture Blog 2015): a random part of the ceiling spreads many clients better than ceiling ± a little.
 */
import type { DeliveryPolicy } from './policy.ts';

export type BackoffPolicy = Pick<DeliveryPolicy, 'backoff' | 'backoffBaseMs' | 'backoffCapMs'>;

export interface Wait {
  /** The attempt that just failed, from 1. */
  readonly attempt: number;
  /** In [0, 1). */
  readonly random: () => number;
  /** The server's own wish (Retry-After), ms; never undercut, even above the cap. */
  readonly retryAfterMs?: number | undefined;
}

/** Milliseconds until the next attempt [T1]. */
export function backoffMs(
  policy: BackoffPolicy,
  { attempt, random, retryAfterMs = 0 }: Wait,
): number {
  if (policy.backoff === 'none') return Math.max(policy.backoffBaseMs, retryAfterMs);
  // 2^40 already exceeds every cap; the bound keeps the power finite after months of attempts.
  const ceilingMs = Math.min(
    policy.backoffCapMs,
    policy.backoffBaseMs * 2 ** Math.min(attempt - 1, 40),
  );
  return Math.max(Math.round(random() * ceilingMs), retryAfterMs);
}
