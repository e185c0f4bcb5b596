/** The Kafka broker against a real cluster: the shared contract, and what only Kafka has. */

import { describe } from 'vitest';
import { describeBrokerContract } from '../../src/broker/contract.suite.ts';
import { openKafkaBroker } from '../../src/broker/index.ts';
import { needs } from '../support/require.ts';

const brokers = (process.env.KAFKA_BROKERS ?? '').split(',');

describe.skipIf(!needs(['KAFKA_BROKERS']))('on a real cluster', () => {
  describeBrokerContract('the Kafka broker', async () => {
    const broker = await openKafkaBroker({ brokers });
    return {
      broker,
      close: () => broker.close(),
      reopen: async () => {
        await broker.close();
        return openKafkaBroker({ brokers });
      },
    };
  });
});
