/** The topics that alerts live in. All have one partition: alerts are few, and what is said of one is in order. */
import type { Broker, TopicSpec } from '../broker/index.ts';
import { days } from '../model/index.ts';

/** Every transition; key = the alert's id. */
export const ALERTS = 'alerts';
/** Notifications that a channel refused for good. */
export const ALERTS_DEAD_LETTER = 'alerts.dead-letter';
/** What operators say: acknowledgements and silences; key = `ack:ID` or `silence:ID`. */
export const ALERT_NOTES = 'tidemark.alerts.notes';
/** Messages for the channels, as decided; key = channel. */
export const ALERT_MESSAGES = 'tidemark.alerts.messages';
/** Wall clock on record, for decisions that need one. */
export const ALERT_TICKS = 'tidemark.alerts.ticks';
/** What the engine measures of itself. */
export const HEALTH = 'tidemark.health';

export const alertTopics: readonly TopicSpec[] = [
  { name: ALERTS, partitions: 1, retentionMs: days(30) },
  { name: ALERTS_DEAD_LETTER, partitions: 1, retentionMs: days(30) },
  { name: ALERT_NOTES, partitions: 1, cleanup: 'compact' },
  { name: ALERT_MESSAGES, partitions: 1, retentionMs: days(7) },
  { name: ALERT_TICKS, partitions: 1, retentionMs: days(1) },
  { name: HEALTH, partitions: 1, retentionMs: days(7) },
];

/** Before a topology that uses them starts, which would make them with the broker's defaults. */
export const createAlertTopics = (broker: Broker): Promise<void> =>
  broker.createTopics(alertTopics);
