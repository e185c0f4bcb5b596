/**
 * `npm run check`: lint and format, types, and the quick tests side by side, so that no core is idle while one of them
 * starts. What the tests print comes as it comes, what the other two say behind it. Parameters are vitest's.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const projectRoot = fileURLToPath(new URL('../..', import.meta.url));
const cache = join('node_modules', '.cache');
// As tsc keeps what it found of files that stay.
mkdirSync(join(projectRoot, cache), { recursive: true });

const running: ChildProcess[] = [];

/** Resolves with the exit code, and with what it printed unless that went to the terminal. */
async function run(command: string, words: readonly string[], output: 'kept' | 'inherit') {
  const stream = output === 'kept' ? 'pipe' : 'inherit';
  const child = spawn(join(projectRoot, 'node_modules', '.bin', command), words, {
    cwd: projectRoot,
    stdio: ['ignore', stream, stream],
  });
  running.push(child);
  let printed = '';
  for (const each of [child.stdout, child.stderr]) {
    each?.setEncoding('utf8').on('data', (text) => {
      printed += text;
    });
  }
  const [code] = (await once(child, 'close')) as [number | null];
  return { code: code ?? 1, printed };
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    for (const child of running) child.kill(signal);
  });
}

const types = ['--noEmit', '--singleThreaded', '--incremental', '--tsBuildInfoFile'];
const quick = ['run', '--project', 'unit', '--tags-filter=!heavy'];
const outcomes = await Promise.all([
  run('biome', ['check', '.'], 'kept'),
  run('tsc', [...types, join(cache, 'tsc.tsbuildinfo')], 'kept'),
  run('vitest', [...quick, ...process.argv.slice(2)], 'inherit'),
]);
for (const { printed } of outcomes) process.stdout.write(printed);
process.exitCode = Math.max(...outcomes.map(({ code }) => code));
