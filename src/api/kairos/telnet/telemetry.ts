/** What comes in over telnet. */
import { counter, gauge } from '../../../runtime/index.ts';

const points = counter('api_telnet_points_total', 'Points that came over telnet.');
const rejected = counter(
  'api_telnet_lines_rejected_total',
  'Lines that came over telnet and were not understood.',
);
const connections = gauge('api_telnet_connections', 'Open connections of the telnet interface.');

export const linesRead = (count: number): void => points.add({}, count);
export const linesRejected = (): void => rejected.add({});
export const telnetConnections = (count: number): void => connections.set({}, count);
