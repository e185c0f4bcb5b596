/**
 * The process that embedded-disk-full.test.ts runs under a file size limit: fills the log until it is refused, then
 * lets retention make room. Says what happened as one line of JSON.
 */
import { openEmbeddedBroker } from '../../src/broker/index.ts';
import type { TidemarkError } from '../../src/model/index.ts';
import { ManualClock, silentLogger } from '../../src/runtime/index.ts';

const [directory = ''] = process.argv.slice(2);
const clock = new ManualClock(1_700_000_000_000);
const broker = await openEmbeddedBroker({ directory, clock, logger: silentLogger });
await broker.createTopics([{ name: 't', retentionMs: 1_000 }]);
const record = { key: null, value: 'x'.repeat(1_000_000), partition: 0 };

let appended = 0;
let refusal: TidemarkError | undefined;
while (!refusal && appended < 100)
  try {
    await broker.append('t', [record]);
    appended++;
  } catch (error) {
    refusal = error as TidemarkError;
  }
const [full] = await broker.describeTopics(['t']);
const last = await broker.read({ topic: 't', partition: 0, from: appended - 1 });
await clock.advance(5_000);
await broker.maintain();
const [left] = await broker.describeTopics(['t']);
const [after] = await broker.append('t', [record]);
await broker.check();
await broker.close();
process.stdout.write(
  `${JSON.stringify({
    appended,
    family: refusal?.family,
    code: refusal?.code,
    message: refusal?.message,
    nextOffset: full?.partitions[0]?.nextOffset,
    lastReadable: last?.count,
    firstOffset: left?.partitions[0]?.firstOffset,
    after: after?.offset,
  })}\n`,
);
