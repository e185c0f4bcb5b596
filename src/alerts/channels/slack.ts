/** A Slack incoming webhook: one message with a line an alert. */
import type { Secret } from '../../runtime/index.ts';
import { type AlertMessage, linesOf, subjectOf } from '../message.ts';
import type { Channel } from './channel.ts';
import { post } from './http-post.ts';

/** Slack cuts what is longer. */
const TEXT_CHARS_MAX = 3_900;

export const slackChannel = (name: string, url: Secret): Channel => ({
  send: (message, signal) =>
    post(name, url, { body: JSON.stringify(slackBody(message)), headers: {}, signal }),
});

/** `text` is what notifications show; the attachment has the lines beside a bar of colour. */
export function slackBody(message: AlertMessage): object {
  const { firing } = message;
  const isCritical = firing.some(({ severity }) => severity === 'critical');
  const color = firing.length === 0 ? 'good' : isCritical ? 'danger' : 'warning';
  const text = linesOf(message).map(escaped).join('\n');
  return {
    text: escaped(subjectOf(message)),
    attachments: [
      {
        color,
        text: text.length <= TEXT_CHARS_MAX ? text : `${text.slice(0, TEXT_CHARS_MAX)}…`,
        ts: Math.floor(message.at / 1_000),
      },
    ],
  };
}

/** Slack's three; a host's name must not be able to mention a channel. */
const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
