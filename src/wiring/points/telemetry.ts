/** What goes into the log of KairosDB's points, and what still waits for it. */
import { counter, gauge } from '../../runtime/index.ts';

const appended = counter(
  'ingest_points_acknowledged_total',
  'KairosDB points that are durable in the log.',
);
const waiting = gauge(
  'ingest_waiting_bytes',
  'Bytes of KairosDB points on their way into the log; at the limit requests are refused.',
);

export const appendedPoints = (count: number): void => appended.add({}, count);
export const pointsWaiting = (bytes: number): void => waiting.set({}, bytes);
