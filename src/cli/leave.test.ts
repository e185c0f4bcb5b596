/** Ways out of a process whose LMDB writer waits for the thread that wants to go. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';

const urlOf = (file: string) => JSON.stringify(new URL(file, import.meta.url).href);

/** A process in which `amidst()` leaves LMDB's thread in a batch that it waits for the rest of. */
async function running(script: string, ...words: readonly string[]) {
  const path = await mkdtemp(join(tmpdir(), 'tidemark-leave-'));
  const file = join(path, 'script.mjs');
  await writeFile(
    file,
    `import { open } from ${JSON.stringify(import.meta.resolve('lmdb'))};
    import { leave } from ${urlOf('./leave.ts')};
    import { processTerminal } from ${urlOf('./terminal.ts')};
    const path = ${JSON.stringify(join(path, 'batches'))};
    const root = open({ path, noSubdir: false, overlappingSync: false });
    const amidst = () => {
      // More than it waits for before it begins.
      for (let key = 0; key < 2_000; key++) void root.put(key, 'value');
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
    };
    ${script}`,
  );
  const program = words.length === 0 ? [file] : ['--import', file, ...words, '--data', path];
  const flags = ['--conditions=tidemark-source', '--disable-warning=ExperimentalWarning'];
  const child = spawn(process.execPath, [...flags, ...program], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await rm(path, { recursive: true, force: true });
  });
  let printed = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text) => {
      printed += text;
    });
  const ended = once(child, 'close');
  const prints = (text: string) =>
    expect.poll(() => printed, { timeout: 20_000, interval: 20 }).toContain(text);
  return { child, ended, prints };
}

it('a process leaves with its code in the middle of a batch', async () => {
  const { ended } = await running('amidst(); leave(3);');
  expect(await ended).toEqual([3, null]);
});

it('what nobody catches is printed and ends the program', async () => {
  const main = fileURLToPath(new URL('./main.ts', import.meta.url));
  const { ended, prints } = await running(
    `setTimeout(() => { amidst(); throw new Error('nobody catches this'); }, 500);`,
    ...[main, 'up', '--port', '0', '--telnet-port', '0'],
  );
  expect(await ended).toEqual([1, null]);
  await prints('nobody catches this');
});

const stopping = `
  const { stopped } = processTerminal();
  const each = setInterval(() => {}, 1_000);
  stopped.addEventListener('abort', () => {
    console.log('stopping');
    process.on('SIGTERM', () => console.log('again'));
  });
  process.on('SIGUSR2', () => clearInterval(each));
  console.log('there');`;

it('a signal that was passed on as well is one signal', async () => {
  const { child, ended, prints } = await running(stopping);
  await prints('there');
  child.kill('SIGTERM');
  await prints('stopping');
  child.kill('SIGTERM');
  await prints('again');
  child.kill('SIGUSR2');
  expect(await ended).toEqual([0, null]);
});

it('one that comes later ends the process at once, in the middle of a batch', async () => {
  const { child, ended, prints } = await running(`${stopping}
    (function work() { amidst(); setImmediate(work); })();`);
  await prints('there');
  child.kill('SIGTERM');
  await prints('stopping');
  await sleep(2_200);
  child.kill('SIGTERM');
  expect(await ended).toEqual([1, null]);
});
