/** An agent on its way to Kafka, into a topic of the test's, until it is told to stop or killed. */
import { startAgent } from '../../src/main.ts';
import { loadSettings, silentLogger, systemClock } from '../../src/runtime/index.ts';

const [data = '', topic = ''] = process.argv.slice(2);
const { settings } = loadSettings({ environment: process.env, flags: { data } });
const agent = await startAgent({ settings, clock: systemClock, logger: silentLogger, topic });
/** Readings taken, then how many of all wait: what was taken before waits or has been handed over. */
const say = async () => {
  const { taken } = agent;
  process.stdout.write(`${taken} ${await agent.waiting()}\n`);
};
const stopSaying = systemClock.every(20, say);
process.once('SIGTERM', async () => {
  stopSaying();
  await agent.stop();
  process.stdout.write(`${agent.taken} -1\n`);
  process.exit(0);
});
