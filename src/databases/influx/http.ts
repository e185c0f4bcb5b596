/**
 * One request to InfluxDB over the runtime's fetch (connections are kept alive and shared). A reply of any
 * status is an answer; only silence is an error here. The token goes into the header and nowhere else.
 */
import { FatalError, messageOf, RetriableError } from '../../model/index.ts';
import type { InfluxConfig } from './config.ts';

export interface InfluxRequest {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** `/api/v2/write` */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array<ArrayBuffer>;
  readonly signal?: AbortSignal | undefined;
}

export interface InfluxReply {
  readonly status: number;
  readonly headers: Headers;
  /** The error's code and message when the reply carries InfluxDB's error JSON; else code '' and the text. */
  readonly code: string;
  readonly message: string;
  /** Parsed JSON, or undefined. */
  readonly json: unknown;
}

/** Enough for every message of the server; a proxy's HTML page is cut. */
const MESSAGE_CHARS_MAX = 2_000;

/** Rejects with RetriableError SINK_UNREACHABLE when no full reply came, or with the signal's reason. */
export async function request(config: InfluxConfig, wanted: InfluxRequest): Promise<InfluxReply> {
  const { method, path, query, headers, body, signal } = wanted;
  const url = `${config.url}${path}${query ? `?${new URLSearchParams(query)}` : ''}`;
  try {
    const reply = await fetch(url, {
      method,
      headers: { authorization: `Token ${config.token}`, ...headers },
      // A followed redirect would turn a write into a GET.
      redirect: 'manual',
      ...(body === undefined ? {} : { body }),
      ...(signal ? { signal } : {}),
    });
    return readReply(reply.status, reply.headers, await reply.text());
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    throw new RetriableError(`InfluxDB at ${config.url} does not answer: ${reasonOf(error)}`, {
      code: 'SINK_UNREACHABLE',
      cause: error,
      context: { url: config.url },
    });
  }
}

/**
 * The error for a reply that is none of what the caller knows how to use; `what` says what was asked for:
 * `write to bucket "b"`.
 */
export function errorOf(
  config: InfluxConfig,
  reply: InfluxReply,
  options: { readonly what: string; readonly retryAfterMs?: number | undefined },
): FatalError | RetriableError {
  const { status, message } = reply;
  const { what, retryAfterMs } = options;
  const context = { status, url: config.url, org: config.org };
  const said = message === '' ? '' : ` (${message})`;
  const retriable = (code: string, text: string) =>
    new RetriableError(`${what}: ${text}${said}`, {
      code,
      context,
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    });
  const fatal = (code: string, text: string) =>
    new FatalError(`${what}: ${text}${said}`, { code, context });

  if (status === 429 || status === 503)
    return retriable('SINK_BUSY', `InfluxDB is busy, ${status}`);
  if (status === 408 || status === 425 || status >= 500) {
    return retriable('SINK_FAILED', `InfluxDB failed with ${status}`);
  }
  if (status === 401) {
    return fatal('INFLUX_UNAUTHORIZED', 'InfluxDB does not know the token; set INFLUX_TOKEN');
  }
  if (status === 403) {
    return fatal('INFLUX_FORBIDDEN', 'the token may not do this; give it the right on the bucket');
  }
  if (status === 404) {
    return fatal(
      'INFLUX_NOT_FOUND',
      'no such organisation or bucket; run `tidemark setup`, or mend INFLUX_ORG',
    );
  }
  if (status >= 300 && status < 400) {
    return fatal(
      'INFLUX_REDIRECTED',
      `the server redirects to ${reply.headers.get('location') ?? 'elsewhere'}; set INFLUX_URL to that`,
    );
  }
  return fatal('INFLUX_REFUSED', `unexpected answer ${status}; is INFLUX_URL an InfluxDB 2.x?`);
}

function readReply(status: number, headers: Headers, text: string): InfluxReply {
  let json: unknown;
  if (/json/.test(headers.get('content-type') ?? '')) {
    try {
      json = JSON.parse(text);
    } catch {
      // A cut or false JSON is only text.
    }
  }
  const { code, message } = (json ?? {}) as { code?: unknown; message?: unknown };
  return {
    status,
    headers,
    code: typeof code === 'string' ? code : '',
    // Not cut: the messages name every bad line, and whoever shows one cuts it.
    message: typeof message === 'string' ? message : text.slice(0, MESSAGE_CHARS_MAX),
    json,
  };
}

/** fetch says only "fetch failed"; what happened is in its cause. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  const code = (cause as { code?: unknown } | undefined)?.code;
  return [messageOf(cause ?? error), code].filter(Boolean).join(' ');
}
