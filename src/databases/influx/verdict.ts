/** What a reply to a write means (spec/influxdb.md §2): stored, or which kind of refusal; the rest throws. */
import type { InfluxConfig } from './config.ts';
import { errorOf, type InfluxReply } from './http.ts';
import { retryAfterMs } from './retry-after.ts';

export type Verdict =
  | { readonly kind: 'stored' }
  /** 400: at least one line does not parse; nothing was stored. */
  | { readonly kind: 'malformed'; readonly message: string }
  /** 413: too much for one request; nothing was stored. */
  | { readonly kind: 'too-large'; readonly message: string }
  /** 422: some points were dropped, the others stored. `dropped` counts one shard only, so it is a minimum. */
  | {
      readonly kind: 'partial';
      readonly code: RefusalCode;
      readonly message: string;
      readonly dropped: number;
    };

export type RefusalCode =
  | 'FIELD_TYPE_CONFLICT'
  | 'OUTSIDE_RETENTION'
  | 'POINT_TOO_LARGE'
  | 'LINE_REFUSED';

/** @throws FatalError or RetriableError for a reply that says nothing about the points. */
export function verdictOf(
  config: InfluxConfig,
  reply: InfluxReply,
  options: { readonly what: string; readonly nowMs: number },
): Verdict {
  const { status, message } = reply;
  if (status === 204) return { kind: 'stored' };
  // Only a 400 about lines is the points' fault; one about the request would condemn every point there is.
  if (status === 400 && reply.code === 'invalid' && /parse|\bline\b/i.test(message)) {
    return { kind: 'malformed', message };
  }
  if (status === 413) return { kind: 'too-large', message };
  if (status === 422 && reply.code !== '') {
    return { kind: 'partial', code: refusalCode(message), message, dropped: droppedOf(message) };
  }
  throw errorOf(config, reply, {
    what: options.what,
    retryAfterMs: retryAfterMs(reply.headers.get('retry-after'), options.nowMs),
  });
}

function refusalCode(message: string): RefusalCode {
  if (message.includes('outside retention policy')) return 'OUTSIDE_RETENTION';
  if (message.includes('field type conflict')) return 'FIELD_TYPE_CONFLICT';
  if (message.includes('too long')) return 'POINT_TOO_LARGE';
  return 'LINE_REFUSED';
}

function droppedOf(message: string): number {
  return Number(/dropped=(\d+)/.exec(message)?.[1] ?? 1);
}
