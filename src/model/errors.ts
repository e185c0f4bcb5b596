/**
 * The three families of failure. The family alone decides what happens next, so every error that crosses
 * a room's door is one of these; anything else is a bug and is treated as fatal.
 */

/** What the receiver of an error does: wait and try again; set the record aside; stop the task. */
export type ErrorFamily = 'retriable' | 'poison' | 'fatal';

export interface ErrorOptions {
  /** Stable, upper-case, e.g. `SINK_UNREACHABLE`; the catalogue of HTTP problems uses the same codes. */
  readonly code: string;
  readonly cause?: unknown;
  /** Where it happened: topic, partition, offset, sink, path… Never secrets. */
  readonly context?: Readonly<Record<string, unknown>>;
}

export class TidemarkError extends Error {
  readonly family: ErrorFamily;
  readonly code: string;
  readonly context: Readonly<Record<string, unknown>>;

  constructor(family: ErrorFamily, message: string, options: ErrorOptions) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.family = family;
    this.code = options.code;
    this.context = options.context ?? {};
  }
}

/** The world is in the way (server away, quota, lease lost): wait, then try the same thing again. */
export class RetriableError extends TidemarkError {
  /** Wait at least this long, when the server said so (Retry-After). */
  readonly retryAfterMs: number | undefined;
  constructor(message: string, options: ErrorOptions & { retryAfterMs?: number }) {
    super('retriable', message, options);
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** This one record can never succeed: dead-letter it with the code, go on with the rest. */
export class PoisonError extends TidemarkError {
  constructor(message: string, options: ErrorOptions) {
    super('poison', message, options);
  }
}

/** Going on would be wrong (bad configuration, corrupt state, lost ownership): stop and say how to mend it. */
export class FatalError extends TidemarkError {
  constructor(message: string, options: ErrorOptions) {
    super('fatal', message, options);
  }
}

/** Another process took over this task or directory; what this one computed since is void. */
export class FencedError extends TidemarkError {
  constructor(message: string, options: Omit<ErrorOptions, 'code'> = {}) {
    super('fatal', message, { ...options, code: 'FENCED' });
  }
}

/** The message of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
