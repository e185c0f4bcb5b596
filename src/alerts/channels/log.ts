/** The program's own log: the channel when no other is configured. */
import type { Logger } from '../../runtime/index.ts';
import { linesOf, subjectOf } from '../message.ts';
import type { Channel } from './channel.ts';

export const logChannel = (logger: Logger): Channel => ({
  async send(message) {
    logger.warn({ alerts: linesOf(message), message: message.id }, subjectOf(message));
  },
});
