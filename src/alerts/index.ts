/** Alerts: rules, how they stand, silences and acknowledgements, and who is told of them. */
export { AlertBook } from './book.ts';
export type { ChannelConfig } from './channels/config.ts';
export { openChannel } from './channels/open.ts';
export {
  type AlertConfig,
  type AlertConfigOptions,
  loadAlertConfig,
  type NotificationPolicy,
} from './config.ts';
export { ALARM, type Alarm } from './decide.ts';
export { defaultRules, measures } from './default-rules.ts';
export { describeRule } from './describe-rule.ts';
export type { AlertMessage } from './message.ts';
export { decideTopology, sendTopology } from './notify.ts';
export * from './topics.ts';
