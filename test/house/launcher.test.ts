/**
 * bin/tidemark in a make-believe package, so that only the launcher is on trial. An older Node is played by
 * this one with its version and `execve` taken away.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const project = join(import.meta.dirname, '../..');
const program = `
import { origin } from 'tidemark';
import 'node:sqlite';
const [verb] = process.argv.slice(2);
const about = { origin, flags: process.execArgv, cache: process.env.NODE_COMPILE_CACHE, trim: process.env.MALLOC_TRIM_THRESHOLD_, map: process.env.MALLOC_MMAP_THRESHOLD_, major: Number.parseInt(process.versions.node), words: process.argv.slice(2), pid: process.pid };
if (verb === 'wait') {
  process.once('SIGTERM', () => { console.log('drained'); process.exit(0); });
  setInterval(() => {}, 1000);
}
// Last, as whoever reads it may send a signal at once.
console.log(JSON.stringify(about));
if (verb === 'exit') process.exitCode = 7;
if (verb === 'die') process.kill(process.pid, 'SIGKILL');
`;

let folder: string;
let checkout: string;
let installed: string;
let oldNode: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemark-launcher-'));
  checkout = join(folder, 'checkout');
  installed = join(folder, 'app', 'node_modules', 'tidemark');
  const description = {
    name: 'tidemark',
    type: 'module',
    exports: { '.': { 'tidemark-source': './src/index.ts', default: './dist/src/index.js' } },
  };
  for (const root of [checkout, installed]) {
    await mkdir(join(root, 'src', 'cli'), { recursive: true });
    await mkdir(join(root, 'dist', 'src', 'cli'), { recursive: true });
    await cp(join(project, 'bin'), join(root, 'bin'), { recursive: true });
    await writeFile(join(root, 'package.json'), JSON.stringify(description));
    await writeFile(join(root, 'src', 'index.ts'), `export const origin: string = 'source';`);
    await writeFile(join(root, 'src', 'cli', 'main.ts'), program);
    await writeFile(join(root, 'dist', 'src', 'index.js'), `export const origin = 'compiled';`);
    await writeFile(join(root, 'dist', 'src', 'cli', 'main.js'), program);
  }
  await symlink(join(project, 'node_modules'), join(checkout, 'node_modules'));
  const beside = join(folder, 'app', 'node_modules');
  await symlink(join(project, 'node_modules', 'node'), join(beside, 'node'));
  await mkdir(join(beside, '.bin'));
  await symlink('../tidemark/bin/tidemark', join(beside, '.bin', 'tidemark'));
  oldNode = join(folder, 'old-node.cjs');
  await writeFile(
    oldNode,
    `if (process.argv[1]?.endsWith('tidemark')) {
      Object.defineProperty(process, 'version', { value: 'v20.9.0' });
      delete process.execve;
    }`,
  );
});

afterAll(() => rm(folder, { recursive: true, force: true }));

const sets = () => join(folder, 'caches', 'tidemark', 'compiled');

interface Outcome {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface Run {
  readonly child: ChildProcess;
  readonly outcome: Promise<Outcome>;
  /** Resolves when the program has spoken; with what it said about itself. */
  readonly about: Promise<{
    origin: string;
    flags: string[];
    cache?: string;
    trim?: string;
    map?: string;
    major: number;
    words: string[];
    pid: number;
  }>;
}

function launch(
  bin: string,
  words: readonly string[],
  age: 'new' | 'old',
  environment: Readonly<Record<string, string>> = {},
): Run {
  const preload = age === 'old' ? ['--require', oldNode] : [];
  const child = spawn(process.execPath, [...preload, bin, ...words], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      XDG_CACHE_HOME: join(folder, 'caches'),
      ...environment,
    },
  });
  let stdout = '';
  let stderr = '';
  child.stderr.on('data', (chunk) => {
    stderr += chunk;
  });
  const about = new Promise<Awaited<Run['about']>>((resolve, reject) => {
    child.stdout.on('data', (chunk) => {
      stdout += chunk;
      if (stdout.includes('\n')) resolve(JSON.parse(stdout.slice(0, stdout.indexOf('\n'))));
    });
    child.on('close', () => reject(new Error(`it said nothing; stderr: ${stderr}`)));
  });
  about.catch(() => {});
  const outcome = once(child, 'close').then(([code, signal]) => ({ code, signal, stdout, stderr }));
  return { child, outcome, about };
}

describe.each(['new', 'old'] as const)('on a %s Node', (age) => {
  it('a checkout runs its sources on Node 24, passing words and exit code through', async () => {
    const run = launch(join(checkout, 'bin', 'tidemark'), ['exit', 'two words'], age);
    const about = await run.about;
    const { code, stderr } = await run.outcome;
    expect(about).toMatchObject({ origin: 'source', words: ['exit', 'two words'] });
    expect(about.major).toBeGreaterThanOrEqual(24);
    expect({ code, stderr }).toEqual({ code: 7, stderr: '' });
  });

  it('an installed package runs compiled, through the link in node_modules/.bin', async () => {
    const link = join(folder, 'app', 'node_modules', '.bin', 'tidemark');
    const run = launch(link, ['exit'], age);
    expect(await run.about).toMatchObject({ origin: 'compiled', words: ['exit'] });
    expect(await run.outcome).toMatchObject({ code: 7, stderr: '' });
  });

  it('Node runs with the young generation, the bounds of malloc and the compile cache that the engine is measured with', async () => {
    const caches: (string | undefined)[] = [];
    for (const bin of [join(checkout, 'bin', 'tidemark'), join(installed, 'bin', 'tidemark')]) {
      const { flags, cache, trim } = await launch(bin, [], age).about;
      expect(flags).toContain('--max-semi-space-size=8');
      expect(trim).toBe(process.env.MALLOC_TRIM_THRESHOLD_ ?? '1048576');
      expect(dirname(cache ?? '')).toBe(sets());
      caches.push(cache);
    }
    // Each installation's own.
    expect(new Set(caches).size).toBe(2);
  });

  it.each([
    { words: ['up', '--roles', 'ingest,query,sinks'], map: '32000' },
    { words: ['up', '--roles=query'], map: '32000' },
    { words: ['up', '--roles', 'engine,query'], map: '1048576' },
    { words: ['up'], map: '1048576' },
  ])(
    '$words starts with malloc’s bounds for its roles, and the young generation of all',
    async (each) => {
      const about = await launch(join(checkout, 'bin', 'tidemark'), each.words, age).about;
      expect(about.map).toBe(process.env.MALLOC_MMAP_THRESHOLD_ ?? each.map);
      expect(about.flags).toContain('--max-semi-space-size=8');
    },
  );

  it('what NODE_OPTIONS says of the young generation stands', async () => {
    const bin = join(checkout, 'bin', 'tidemark');
    const options = '--max-semi-space-size=16';
    const { flags } = await launch(bin, ['up', '--roles=query'], age, { NODE_OPTIONS: options })
      .about;
    expect(flags.filter((flag) => flag.includes('semi-space'))).toEqual([]);
  });

  it('SIGTERM reaches the program, which drains and exits 0', async () => {
    const run = launch(join(checkout, 'bin', 'tidemark'), ['wait'], age);
    await run.about;
    run.child.kill('SIGTERM');
    const { code, stdout } = await run.outcome;
    expect(code).toBe(0);
    expect(stdout).toContain('drained');
  });

  it("the launcher's end is the program's: a killed program shows as killed", async () => {
    const run = launch(join(checkout, 'bin', 'tidemark'), ['die'], age);
    expect(await run.outcome).toMatchObject({ code: null, signal: 'SIGKILL' });
  });

  it('kill -9 leaves nothing running', async () => {
    const run = launch(join(checkout, 'bin', 'tidemark'), ['wait'], age);
    const { pid } = await run.about;
    run.child.kill('SIGKILL');
    await run.outcome;
    await expect.poll(() => isRunning(pid)).toBe(false);
  });
});

describe('compiled code that nobody used for a month', () => {
  const dayMs = 86_400_000;
  const namesIn = async () => (await readdir(sets())).filter((name) => name !== '.tidied').sort();

  /** A set as Node fills it, last used so long ago. */
  async function makeSet(name: string, files: number, agoMs: number): Promise<void> {
    const code = join(sets(), name, 'v24.0.0-x64-0');
    await mkdir(code, { recursive: true });
    for (let i = 0; i < files; i++) await writeFile(join(code, `${i}`), '');
    const at = (Date.now() - agoMs) / 1_000;
    await utimes(join(sets(), name), at, at);
  }
  const start = async () => launch(join(checkout, 'bin', 'tidemark'), [], 'new').outcome;

  it('goes, some of it at each start, whoever starts beside, and what is in use stays', async () => {
    await rm(sets(), { recursive: true, force: true });
    await makeSet('long-ago', 500, 31 * dayMs);
    await makeSet('lately', 1, 29 * dayMs);
    await start();
    // Not all at once: a command is waiting.
    const some = await namesIn();
    expect(some.some((name) => name.endsWith('long-ago'))).toBe(true);
    expect(some).toContain('lately');
    const outcomes = await Promise.all(Array.from({ length: 4 }, start));
    expect(outcomes).toMatchObject(outcomes.map(() => ({ code: 0, stderr: '' })));
    await expect
      .poll(async () => {
        await start();
        return (await namesIn()).filter((name) => name.endsWith('long-ago'));
      })
      .toEqual([]);
    expect(await readdir(join(sets(), 'lately', 'v24.0.0-x64-0'))).toEqual(['0']);
    expect(await namesIn()).toHaveLength(2);
  });

  it('is looked for once a day', async () => {
    await start();
    await makeSet('found-tomorrow', 1, 31 * dayMs);
    await start();
    expect(await namesIn()).toContain('found-tomorrow');
    const yesterday = (Date.now() - dayMs - 1_000) / 1_000;
    await utimes(join(sets(), '.tidied'), yesterday, yesterday);
    await start();
    expect(await namesIn()).not.toContain('found-tomorrow');
  });

  it('is no longer what a start uses again', async () => {
    const { cache = '' } = await launch(join(checkout, 'bin', 'tidemark'), [], 'new').about;
    const old = (Date.now() - 31 * dayMs) / 1_000;
    await utimes(cache, old, old);
    await rm(join(sets(), '.tidied'), { force: true });
    await start();
    expect(await readdir(dirname(cache))).toContain(cache.slice(dirname(cache).length + 1));
    expect((await readdir(cache)).length).toBeGreaterThan(0);
  });
});

it('without any Node 24 it says what to install', async () => {
  const alone = join(folder, 'alone');
  await cp(join(checkout, 'bin'), join(alone, 'bin'), { recursive: true });
  await cp(join(checkout, 'dist'), join(alone, 'dist'), { recursive: true });
  const run = launch(join(alone, 'bin', 'tidemark'), [], 'old', { PATH: '/nowhere' });
  const { code, stderr } = await run.outcome;
  expect(code).toBe(1);
  expect(stderr).toMatch(/^tidemark: Node 24 or later is needed and this is v20\.9\.0;.*install/i);
});

it('a package that was never built says so', async () => {
  const empty = join(folder, 'empty');
  await cp(join(checkout, 'bin'), join(empty, 'bin'), { recursive: true });
  const { code, stderr } = await launch(join(empty, 'bin', 'tidemark'), [], 'new').outcome;
  expect({ code, said: stderr.includes('npm run build') }).toEqual({ code: 1, said: true });
});

/** Alive and no zombie, which a container without an init process would keep for ever. */
async function isRunning(pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  return stat === undefined || !/\) Z /.test(stat);
}
