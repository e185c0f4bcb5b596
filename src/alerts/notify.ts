/**
 * Notifications as topologies: one decides, and one a channel sends.
 *
 *   alerts ──► decide ─┐
 *   notes ───► decide ─┼─► tidemark.alerts.messages ─► send ─► channel
 *   ticks ───► decide ─┘                                  └─► alerts.dead-letter
 */
import type { AlertTransition } from '../model/index.ts';
import { filter, jsonCodec, type Topology, topology } from '../stream/index.ts';
import type { ChannelConfig } from './channels/config.ts';
import { type DecideOptions, Decider, decide } from './decide.ts';
import type { AlertMessage } from './message.ts';
import type { Note } from './note.ts';
import { ALERT_MESSAGES, ALERT_NOTES, ALERT_TICKS, ALERTS, ALERTS_DEAD_LETTER } from './topics.ts';

/** Whatever else stands there is passed over; times are the log's. */
const source = { rejects: 'skip', futureToleranceMs: Number.POSITIVE_INFINITY } as const;

/** Decides what is sent to these channels. */
export function decideTopology(options: DecideOptions): Topology {
  return topology('alerts-notify', (builder) => {
    const decider = new Decider(options);
    const encoding = {
      key: ({ channel }: AlertMessage) => channel,
      value: (message: AlertMessage) => JSON.stringify(message),
    };
    builder
      .source(ALERT_NOTES, jsonCodec<Note | null>({ name: 'note' }), source)
      .pipe('decide on notes', decide(decider, noteGiven))
      .to(ALERT_MESSAGES, encoding);
    builder
      .source(ALERTS, jsonCodec<AlertTransition>({ name: 'alert' }), source)
      .pipe('decide on alerts', decide(decider, alertGiven))
      .to(ALERT_MESSAGES, encoding);
    builder
      .source(ALERT_TICKS, jsonCodec<unknown>({ name: 'tick' }), source)
      .pipe(
        'decide on ticks',
        decide(decider, () => ({ kind: 'tick' as const })),
      )
      .to(ALERT_MESSAGES, encoding);
  });
}

const noteGiven = (note: Note | null) =>
  note?.kind === 'silence' || note?.kind === 'acknowledgement'
    ? { kind: 'note' as const, note }
    : undefined;

/** Anybody may publish to `alerts`: what has not the shape of a transition is none. */
function alertGiven(alert: AlertTransition) {
  const isOne =
    typeof alert === 'object' &&
    alert !== null &&
    typeof alert.id === 'string' &&
    typeof alert.rule === 'string' &&
    ['pending', 'firing', 'resolved'].includes(alert.state) &&
    [alert.at, alert.startedAt].every(Number.isFinite);
  return isOne ? { kind: 'alert' as const, alert } : undefined;
}

/** Sends a channel's messages; its cursor moves once they are delivered, or refused for good and set aside. */
export function sendTopology({ name }: ChannelConfig): Topology {
  return topology(`alerts-send-${name}`, (builder) => {
    builder
      .source(ALERT_MESSAGES, jsonCodec<AlertMessage>({ name: 'message' }), source)
      .pipe(
        'of the channel',
        filter(({ channel }) => channel === name),
      )
      .into(`notify:${name}`, (message) => [message], { deadLetter: ALERTS_DEAD_LETTER });
  });
}
