/** The agent's outbox while its receiver is away and its process is killed: what was durable arrives, in order. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { openEmbeddedBroker, type ProducerRecord } from '../../src/broker/index.ts';
import { Outbox } from '../../src/collect/index.ts';
import { silentLogger, systemClock } from '../../src/runtime/index.ts';
import { temporaryDirectory } from '../support/embedded-broker.ts';

const KILLS = 3;

/** Runs the child until it has said so many numbers, then kill −9; gives the last that it said. */
async function addUntilKilled(directory: string, from: number, count: number): Promise<number> {
  const script = fileURLToPath(new URL('agent-outbox.child.ts', import.meta.url));
  const child = spawn(process.execPath, [script, directory, String(from)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = new Promise((resolve) => child.once('exit', resolve));
  let text = '';
  for await (const part of child.stdout.setEncoding('utf8')) {
    text += part;
    if (text.split('\n').length > count) child.kill('SIGKILL');
  }
  await exited;
  return Number(text.slice(0, text.lastIndexOf('\n')).split('\n').at(-1));
}

test('readings that were durable when their process was killed arrive later, in order, none lost', async () => {
  const directory = await temporaryDirectory();
  let last = -1;
  for (let kill = 0; kill < KILLS; kill++) last = await addUntilKilled(directory, last + 1, 30);

  const arrived: number[] = [];
  let sends = 0;
  const take = async (records: readonly ProducerRecord[]) => {
    // The first is taken but its answer is lost, as when a connection breaks.
    for (const { value } of records) arrived.push(JSON.parse(String(value)).number);
    if (++sends === 1) throw new Error('the answer was lost');
  };
  const outbox = new Outbox({
    log: await openEmbeddedBroker({ directory, clock: systemClock, logger: silentLogger }),
    send: take,
    clock: systemClock,
    logger: silentLogger,
    bytesMax: 64 * 1_024 * 1_024,
    ageMsMax: 86_400_000,
  });
  await outbox.start();
  while ((await outbox.waiting()) > 0) await systemClock.sleep(50);
  await outbox.stop();

  // Up to `last` all were said to be durable; a number after a kill may have been added without being said.
  const distinct = [...new Set(arrived)];
  expect(distinct).toEqual(distinct.toSorted((a, b) => a - b));
  expect(distinct.slice(0, last + 1)).toEqual(Array.from({ length: last + 1 }, (_, i) => i));
  expect(last).toBeGreaterThanOrEqual(KILLS * 29);
  // What was taken is not sent again after a restart.
  const again: unknown[] = [];
  const reopened = new Outbox({
    log: await openEmbeddedBroker({ directory, clock: systemClock, logger: silentLogger }),
    send: async (records) => void again.push(...records),
    clock: systemClock,
    logger: silentLogger,
    bytesMax: 64 * 1_024 * 1_024,
    ageMsMax: 86_400_000,
  });
  await reopened.start();
  await reopened.add([{ key: 'host', value: '{"number":-1}' }]);
  while ((await reopened.waiting()) > 0) await systemClock.sleep(50);
  await reopened.stop();
  expect(
    again.map((record) => JSON.parse(String((record as ProducerRecord).value)).number),
  ).toEqual([-1]);
}, 120_000);
