/** The HTTP service around an engine. */
export * from './contract.ts';
export { catalogue, type Problem, type ProblemCode, type ProblemItem } from './errors.ts';
export { createServer, type ServerOptions } from './server.ts';
export { parseTime } from './time-range.ts';
