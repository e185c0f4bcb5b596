/**
 * `tidemark up` for one test run: the whole engine as settings say, but between the topics, buckets and groups
 * that `--run` names.
 */
import { parseArgs } from 'node:util';
import { startEngine } from '../../src/main.ts';
import { loadSettings } from '../../src/runtime/index.ts';
import { runNames } from './run-names.ts';

const { values } = parseArgs({
  options: { data: { type: 'string' }, port: { type: 'string' }, run: { type: 'string' } },
});
const { data, port, run = '' } = values;
const { settings } = loadSettings({ environment: process.env, flags: { data, port } });
const { namespace, topology, feeds } = runNames(run);

const engine = await startEngine(settings, {
  topologies: [topology],
  feeds,
  pointsTopic: `${namespace}.points`,
});
process.once('SIGTERM', () => void engine.stop().then(() => process.exit(0)));
process.stdout.write(`listening on ${engine.url}\n`);
