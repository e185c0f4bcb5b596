/**
 * Jobs that a command runs itself, and the copy: what needs neither streams nor brokers, which replays stand on and which
 * take longer to load than all of these.
 */
export { copySeries, unitsAtOnce } from '../copy-series.ts';
export { reportText } from '../job-report.ts';
export { Jobs } from '../jobs.ts';
