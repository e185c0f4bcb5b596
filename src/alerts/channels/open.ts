/** From a channel's configuration to the sink that delivers to it. */
import type { Sink } from '../../delivery/index.ts';
import type { Clock, Logger } from '../../runtime/index.ts';
import type { AlertMessage } from '../message.ts';
import { type Channel, ChannelSink } from './channel.ts';
import type { ChannelConfig } from './config.ts';
import { emailChannel } from './email.ts';
import { logChannel } from './log.ts';
import { slackChannel } from './slack.ts';
import { webhookChannel } from './webhook.ts';

export function openChannel(
  config: ChannelConfig,
  parts: { readonly clock: Clock; readonly logger: Logger },
): Sink<AlertMessage> {
  return new ChannelSink(`notify.${config.name}`, channelOf(config, parts));
}

function channelOf(
  config: ChannelConfig,
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
): Channel {
  switch (config.type) {
    case 'slack':
      return slackChannel(config.name, config.url);
    case 'webhook':
      return webhookChannel(config, clock);
    case 'email':
      return emailChannel(config);
    case 'log':
      return logChannel(logger);
  }
}
