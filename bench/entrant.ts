/**
 * Tidemark as an entrant of the race (../shared/peers.md): the vote topology from BENCH_TOPIC to BENCH_OUT, exactly
 * once, in group BENCH_GROUP on KAFKA_BROKERS, with BENCH_THREADS processes, until SIGTERM. BENCH_OUT gets the
 * five-minute rollups of validators in the contract's JSON; those of networks, hours and days, which no other
 * entrant computes, go to `BENCH_OUT.network.5m`, `BENCH_OUT.validator.1h` and so on. Its state is on Kafka, so
 * that BENCH_STATE stays empty. Node is set up as bin/tidemark sets it up.
 */
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { superviseWorkers } from './support/workers.ts';

const { nodeFlags, nodeEnvironment } = createRequire(import.meta.url)('../bin/node-setup.js') as {
  nodeFlags(): string[];
  nodeEnvironment(): NodeJS.ProcessEnv;
};
const run = fileURLToPath(new URL('./support/entrant-run.ts', import.meta.url));
const threads = Number(process.env.BENCH_THREADS ?? 1);
const flags = [...process.execArgv, ...nodeFlags()];

if (threads > 1) process.exit(await superviseWorkers(run, threads, flags, nodeEnvironment()));
process.execve?.(process.execPath, [process.execPath, ...flags, run], nodeEnvironment());
await import(run);
