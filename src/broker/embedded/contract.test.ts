import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger, systemClock } from '../../runtime/index.ts';
import { describeBrokerContract } from '../contract.suite.ts';
import { openEmbeddedBroker } from './broker.ts';

describeBrokerContract('the embedded broker', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'tidemark-contract-'));
  const open = () => openEmbeddedBroker({ directory, clock: systemClock, logger: silentLogger });
  let broker = await open();
  return {
    broker,
    reopen: async () => {
      await broker.close();
      broker = await open();
      return broker;
    },
    close: async () => {
      await broker.close();
      await rm(directory, { recursive: true });
    },
  };
});
