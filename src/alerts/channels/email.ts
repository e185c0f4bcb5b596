/** E-mail over SMTP. The same message has the same Message-ID, so that a mail program shows a repetition once. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { FatalError, messageOf, PoisonError, RetriableError } from '../../model/index.ts';
import { type AlertMessage, linesOf, subjectOf } from '../message.ts';
import type { Channel } from './channel.ts';
import type { ChannelConfig } from './config.ts';

type EmailConfig = Extract<ChannelConfig, { type: 'email' }>;

/** Loaded where mail is sent: few engines do. */
const require = createRequire(import.meta.url);
const nodemailer = () => require('nodemailer') as typeof import('nodemailer');

const TIMEOUT_MS = 10_000;
const SUBJECT_CHARS_MAX = 150;

export function emailChannel(config: EmailConfig): Channel {
  const { name, host, port, tls, ca, username, password } = config;
  const transport = nodemailer().createTransport({
    host,
    port,
    secure: tls === 'implicit',
    requireTLS: tls === 'starttls',
    ignoreTLS: tls === 'none',
    ...(ca === undefined ? {} : { tls: { ca: readFileSync(ca, 'utf8') } }),
    ...(username === undefined || password === undefined
      ? {}
      : { auth: { user: username, pass: password.reveal() } }),
    connectionTimeout: TIMEOUT_MS,
    greetingTimeout: TIMEOUT_MS,
    socketTimeout: TIMEOUT_MS,
    // Nothing is read from files or addresses that a message names.
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  return {
    async send(message) {
      try {
        const { rejected } = await transport.sendMail(mailOf(config, message));
        if (rejected.length > 0) {
          // Those who were taken have it: sent again, they would have it twice.
          throw new PoisonError(
            `channel ${name}: the server refused ${rejected.length} of the recipients`,
            {
              code: 'NOTIFICATION_REFUSED',
            },
          );
        }
      } catch (error) {
        throw meaningOf(name, error);
      }
    },
    async check() {
      try {
        await transport.verify();
      } catch (error) {
        throw meaningOf(name, error);
      }
    },
    async close() {
      transport.close();
    },
  };
}

function mailOf({ from, to }: EmailConfig, message: AlertMessage) {
  const id = createHash('sha256').update(message.id).digest('hex').slice(0, 32);
  const subject = `[Tidemark] ${subjectOf(message)}`.replaceAll(/\s+/g, ' ');
  return {
    from,
    to: [...to],
    subject:
      subject.length <= SUBJECT_CHARS_MAX ? subject : `${subject.slice(0, SUBJECT_CHARS_MAX)}…`,
    text: `${linesOf(message).join('\n')}\n`,
    messageId: `<${id}@tidemark.alerts>`,
    date: new Date(message.at),
    headers: { 'Auto-Submitted': 'auto-generated' },
  };
}

/** SMTP: 4xx says later, 5xx never; who may not sign in needs an operator. */
function meaningOf(name: string, error: unknown): Error {
  if (error instanceof PoisonError) return error;
  const { code, responseCode } = error as { code?: string; responseCode?: number };
  const message = `channel ${name}: ${messageOf(error)}`;
  if (code === 'EAUTH' || responseCode === 530 || responseCode === 535) {
    return new FatalError(`${message}; check username and password`, {
      code: 'CHANNEL_UNAUTHORIZED',
    });
  }
  if (code === 'ETLS' || /certificate|self-signed/i.test(message)) {
    return new FatalError(`${message}; check tls and ca`, { code: 'CHANNEL_TLS' });
  }
  if (responseCode !== undefined && responseCode >= 500) {
    return new PoisonError(message, { code: 'NOTIFICATION_REFUSED' });
  }
  return new RetriableError(message, { code: 'SINK_UNREACHABLE' });
}
