/**
 * `tidemark up` whose clock is AHEAD_MS ahead: a process that starts after that time, without the waiting. Each SIGUSR2
 * puts it JUMP_MS further ahead, as if everybody had slept.
 */
import { parseArgs } from 'node:util';
import { startEngine } from '../../src/main.ts';
import { type Clock, loadSettings, systemClock } from '../../src/runtime/index.ts';

const { values } = parseArgs({ options: { data: { type: 'string' }, port: { type: 'string' } } });
const { settings } = loadSettings({ environment: process.env, flags: values });
let aheadMs = Number(process.env.AHEAD_MS ?? 0);
process.on('SIGUSR2', () => {
  aheadMs += Number(process.env.JUMP_MS);
});
const clock: Clock = {
  now: () => systemClock.now() + aheadMs,
  sleep: (ms, signal) => systemClock.sleep(ms, signal),
  every: (ms, tick) => systemClock.every(ms, tick),
};

const engine = await startEngine(settings, { clock });
process.once('SIGTERM', () => void engine.stop().then(() => process.exit(0)));
process.stdout.write(`listening on ${engine.url}\n`);
