/** kill -9 under load, again and again over one directory: what was acknowledged is there, and nothing is half. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { type Broker, openEmbeddedBroker } from '../../src/broker/index.ts';
import { silentLogger, systemClock } from '../../src/runtime/index.ts';
import { recordsIn, temporaryDirectory } from '../support/embedded-broker.ts';
import { cells, recordsPerEpoch, taskLedger, tasks, writers } from './embedded-broker.load.ts';

const KILLS = 8;
const child = fileURLToPath(new URL('./embedded-broker.child.ts', import.meta.url));

/** What has been acknowledged over all lives of the child. */
interface Acknowledged {
  readonly appends: Map<string, string>;
  readonly epochs: number[];
  readonly latest: Map<string, number>;
  /** Highest sequence in the log: of each writer, then of `latest`. */
  readonly found: number[];
}

/** One life: runs until it has said so many lines, and is killed then or soon after; adds what it said to `told`. */
async function liveAndDie(
  directory: string,
  { lines: wanted, delayMs }: { lines: number; delayMs: number },
  told: Acknowledged,
): Promise<number> {
  const process_ = spawn(process.execPath, [child, directory, ...told.found.map(String)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  let said = 0;
  let reached = () => {};
  const isTime = new Promise<void>((resolve) => {
    reached = resolve;
  });
  process_.stdout.setEncoding('utf8').on('data', (part: string) => {
    text += part;
    said += part.split('\n').length - 1;
    if (said >= wanted) reached();
  });
  await Promise.race([isTime, once(process_, 'close')]);
  await systemClock.sleep(delayMs);
  expect(process_.exitCode).toBeNull();
  process_.kill('SIGKILL');
  await once(process_, 'close');
  const lines = text.slice(0, text.lastIndexOf('\n')).split('\n');
  expect(lines[0]).toBe('ready');
  for (const line of lines) {
    const [what, ...numbers] = line.split(' ');
    const [a = 0, b = 0, partition = 0, offset = 0] = numbers.map(Number);
    if (what === 'append') told.appends.set(`${partition}@${offset}`, `${a}:${b}`);
    else if (what === 'commit') told.epochs[a] = b;
    else if (what === 'latest') told.latest.set(`${a}`, b);
  }
  return lines.length;
}

async function checkAppends(broker: Broker, told: Acknowledged): Promise<void> {
  const sequences: number[][] = Array.from({ length: writers }, () => []);
  let acknowledged = 0;
  for (const partition of [0, 1]) {
    const records = await recordsIn(broker, 'in', partition);
    expect(records.map(({ offset }) => offset)).toEqual(records.map((_, i) => i));
    for (const { offset, value } of records) {
      const [writer = '', sequence = ''] = (value ?? '').replace(/\.*$/, '').split(':');
      sequences[Number(writer)]?.push(Number(sequence));
      const wanted = told.appends.get(`${partition}@${offset}`);
      if (wanted !== undefined) {
        acknowledged++;
        expect(wanted).toBe(`${writer}:${sequence}`);
      }
    }
  }
  expect(acknowledged).toBe(told.appends.size);
  // Of each writer all sequences once and in order: nothing lost in between, nothing twice.
  for (const [writer, found] of sequences.entries()) {
    expect(found).toEqual(found.map((_, i) => i + 1));
    // The child writes 1 + s % 4 records from sequence s on in one call: a call is there whole, or not at all.
    let start = 1;
    while (start <= found.length) start += 1 + (start % 4);
    expect(found.length).toBe(start - 1);
    told.found[writer] = found.length;
  }
}

async function checkEpochs(broker: Broker, told: Acknowledged): Promise<void> {
  for (let task = 0; task < tasks; task++) {
    const ledger = await broker.openLedger(taskLedger(task));
    const state = new Map<string, string>();
    const { meta, offsets } = await ledger.restore((key, value) => {
      state.set(key.toString(), value.toString());
    });
    await ledger.close();
    const epoch = Number(meta?.toString() ?? 0);
    const acknowledged = told.epochs[task] ?? 0;
    expect(epoch).toBeGreaterThanOrEqual(acknowledged);
    expect(epoch).toBeLessThanOrEqual(acknowledged + 1);
    if (epoch === 0) continue;
    told.epochs[task] = epoch;
    expect(offsets).toEqual([{ topic: 'in', partition: task, offset: epoch }]);
    const wanted = Array.from({ length: cells }, (_, cell) => [`cell ${cell}`, `${epoch}`]);
    expect(Object.fromEntries(state)).toEqual(
      Object.fromEntries([...wanted, [`only ${epoch}`, `${epoch}`]]),
    );
    const outputs = (await recordsIn(broker, 'out', task)).map(({ value }) => value);
    expect(outputs).toEqual(
      Array.from({ length: epoch * recordsPerEpoch }, (_, i) => {
        return `${1 + Math.floor(i / recordsPerEpoch)}:${i % recordsPerEpoch}`;
      }),
    );
  }
}

async function checkLatest(broker: Broker, told: Acknowledged): Promise<void> {
  const last = new Map<string, number>();
  for (const { key, value } of await recordsIn(broker, 'latest'))
    last.set(String(key), Number(value));
  for (const [key, sequence] of told.latest) expect(last.get(key)).toBeGreaterThanOrEqual(sequence);
  told.found[writers] = Math.max(0, ...last.values());
}

test('after kill -9 at any moment everything acknowledged is there and every epoch is whole or absent', async () => {
  const directory = await temporaryDirectory();
  const told: Acknowledged = {
    appends: new Map(),
    epochs: Array.from({ length: tasks }, () => 0),
    latest: new Map(),
    found: Array.from({ length: writers + 1 }, () => 0),
  };
  let lines = 0;
  let random = 20_261_121;
  for (let kill = 0; kill < KILLS; kill++) {
    random = (Math.imul(random, 1_103_515_245) + 12_345) >>> 0;
    // The first before a write is through; the others by what was written, however fast that goes, and anywhere in it.
    const life =
      kill === 0 ? { lines: 1, delayMs: 0 } : { lines: 100 + (random % 250), delayMs: random % 20 };
    lines += await liveAndDie(directory, life, told);
    const broker = await openEmbeddedBroker({
      directory,
      clock: systemClock,
      logger: silentLogger,
    });
    await checkAppends(broker, told);
    await checkEpochs(broker, told);
    await checkLatest(broker, told);
    await broker.close();
  }
  // The load was real: otherwise the test proves nothing.
  expect(lines).toBeGreaterThan(1_000);
  expect(Math.min(...told.epochs)).toBeGreaterThan(10);
});
