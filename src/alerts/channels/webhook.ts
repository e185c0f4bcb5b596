/**
 * Any receiver of JSON. `Idempotency-Key` is the same when a message is sent again; with a secret the body is
 * signed: `X-Tidemark-Signature: sha256=` and the hex HMAC-SHA256 of `X-Tidemark-Timestamp`, a dot and the body.
 */
import { createHash, createHmac } from 'node:crypto';
import type { Clock } from '../../runtime/index.ts';
import { subjectOf } from '../message.ts';
import type { Channel } from './channel.ts';
import type { ChannelConfig } from './config.ts';
import { post } from './http-post.ts';

export function webhookChannel(
  { name, url, secret, headers: given }: Extract<ChannelConfig, { type: 'webhook' }>,
  clock: Clock,
): Channel {
  return {
    send(message, signal) {
      const { channel: _, ...content } = message;
      const body = JSON.stringify({ ...content, title: subjectOf(message) });
      const headers: Record<string, string> = {
        'idempotency-key': createHash('sha256').update(message.id).digest('hex').slice(0, 32),
      };
      for (const [header, value] of Object.entries(given)) headers[header] = value.reveal();
      if (secret !== undefined) {
        const timestamp = String(Math.floor(clock.now() / 1_000));
        headers['x-tidemark-timestamp'] = timestamp;
        headers['x-tidemark-signature'] =
          `sha256=${createHmac('sha256', secret.reveal()).update(`${timestamp}.${body}`).digest('hex')}`;
      }
      return post(name, url, { body, headers, signal });
    },
  };
}
