/** What the agent counts of itself. */
import { counter } from '../runtime/index.ts';

const sent = counter('collect_outbox_sent_total', 'Readings handed over by the outbox.', []);
const dropped = counter(
  'collect_outbox_dropped_total',
  'Readings given up by the outbox, since they were too many or too old. Not intended.',
  [],
);

export const outboxSent = (count: number): void => sent.add({}, count);
export const outboxDropped = (count: number): void => dropped.add({}, count);
