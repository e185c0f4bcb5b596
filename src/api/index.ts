/** The HTTP service around an engine. */
export * from './contract.ts';
export { catalogue, type Problem, type ProblemCode, type ProblemItem } from './errors.ts';
export type { DeleteRequest, Draft, DraftSeries, KairosIngest } from './kairos/ingest.ts';
export { listenTelnet, type TelnetServer } from './kairos/telnet/server.ts';
export { createServer, type ServerOptions } from './server.ts';
export { takeSlowestAnswerMs } from './telemetry.ts';
export { parseTime } from './time-range.ts';
export { readPage } from './topics/page.ts';
