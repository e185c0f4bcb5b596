/** Adds numbered readings to an outbox whose receiver is away, and says each number once it is durable. */

import { openEmbeddedBroker } from '../../src/broker/index.ts';
import { Outbox } from '../../src/collect/index.ts';
import { silentLogger, systemClock } from '../../src/runtime/index.ts';

const [directory = '', from = '0'] = process.argv.slice(2);
const outbox = new Outbox({
  log: await openEmbeddedBroker({ directory, clock: systemClock, logger: silentLogger }),
  send: () => Promise.reject(new Error('away')),
  clock: systemClock,
  logger: silentLogger,
  bytesMax: 64 * 1_024 * 1_024,
  ageMsMax: 86_400_000,
});
await outbox.start();
for (let number = Number(from); ; number++) {
  await outbox.add([{ key: 'host', value: JSON.stringify({ number }) }]);
  process.stdout.write(`${number}\n`);
}
