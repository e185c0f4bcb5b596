/** One POST to a receiver whose address is a secret: it is in no message, log line or cause. */
import { FatalError, PoisonError, RetriableError } from '../../model/index.ts';
import type { Secret } from '../../runtime/index.ts';

const BODY_CHARS_MAX = 200;

/**
 * Resolves when the receiver took it. Rejects with RetriableError (it does not answer, or is busy) or
 * PoisonError (it refuses this message).
 */
export async function post(
  channel: string,
  url: Secret,
  request: {
    readonly body: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly signal: AbortSignal | undefined;
  },
): Promise<void> {
  const { body, headers, signal } = request;
  let reply: Response;
  let text: string;
  try {
    reply = await fetch(url.reveal(), {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body,
      // A redirect could carry the message, and a signature, to somebody else.
      redirect: 'manual',
      ...(signal === undefined ? {} : { signal }),
    });
    text = (await reply.text()).slice(0, BODY_CHARS_MAX);
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    throw new RetriableError(`channel ${channel} does not answer: ${reasonOf(error)}`, {
      code: 'SINK_UNREACHABLE',
    });
  }
  const { status } = reply;
  if (status >= 200 && status < 300) return;
  // A receiver may quote the request, and so its own address.
  const said = text.includes(new URL(url.reveal()).pathname) || text === '' ? '' : ` (${text})`;
  const message = `channel ${channel} answered ${status}${said}`;
  if (status === 408 || status === 425 || status === 429 || status >= 500) {
    const wait = Number(reply.headers.get('retry-after'));
    throw new RetriableError(message, {
      code: 'SINK_BUSY',
      ...(Number.isFinite(wait) && wait > 0 ? { retryAfterMs: Math.min(wait, 3_600) * 1_000 } : {}),
    });
  }
  // Told apart, as nobody but an operator can mend them: no message would pass.
  if (status >= 300 && status < 400) {
    throw new FatalError(`${message}: it redirects; set the channel’s url to where`, {
      code: 'CHANNEL_REDIRECTS',
    });
  }
  throw new PoisonError(message, { code: 'NOTIFICATION_REFUSED' });
}

/** Codes only: messages of fetch quote the address. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  const code = (cause as { code?: unknown } | undefined)?.code;
  return typeof code === 'string' ? code : 'the connection failed';
}
