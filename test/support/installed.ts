/**
 * The package as users have it: packed into a tarball and installed into an empty folder from the registry, once
 * for all test files of a run. Whoever is done last removes it.
 */
import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const projectRoot = fileURLToPath(new URL('../..', import.meta.url));

/** As in a user's shell: without the checkout's Node first, and without what npm tells its scripts. */
export const userEnvironment: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) =>
      value === undefined ||
      /^(?:npm_|INIT_CWD|NODE_|VITEST|KAFKA_|INFLUX_|CASSANDRA_|TIDEMARK_)/.test(name)
        ? []
        : [[name, value]],
    ),
  ),
  PATH: (process.env.PATH ?? '')
    .split(delimiter)
    .filter((folder) => !folder.includes('node_modules'))
    .join(delimiter),
};

export interface Installed {
  /** A folder with nothing but package.json and node_modules. */
  readonly app: string;
  /** What the tarball holds. */
  readonly files: readonly string[];
  readonly bytes: number;
}

export interface Installation extends Installed {
  /** Call when done with it. */
  leave(): Promise<void>;
}

/** Workers of one vitest run have one parent. */
const folder = join(tmpdir(), `tidemark-package-${process.ppid}`);
const seat = join(folder, 'users', String(process.pid));
const WAIT_MS = 200;
const WAIT_MAX_MS = 240_000;

/** Packs and installs, or waits until another test file has. */
export async function installed(): Promise<Installation> {
  for (let waitedMs = 0; waitedMs < WAIT_MAX_MS; waitedMs += WAIT_MS) {
    const ready = await takeSeat();
    if (ready !== undefined) {
      if ('error' in ready) throw new Error(`the package can't be installed: ${ready.error}`);
      return { ...ready, leave };
    }
    await sleep(WAIT_MS);
  }
  throw new Error('another test file did not end installing the package');
}

/** undefined: not ready yet, or removed by its last user just now. */
async function takeSeat(): Promise<Installed | { readonly error: string } | undefined> {
  try {
    await mkdir(join(folder, 'users'), { recursive: true });
    await writeFile(seat, '');
    const isFirst = (await mkdir(join(folder, 'app'), { recursive: true })) !== undefined;
    if (!isFirst) return JSON.parse(await readFile(join(folder, 'ready.json'), 'utf8'));
    const report = await install(join(folder, 'app')).catch((error: Error) => ({
      error: error.message,
    }));
    await writeFile(join(folder, 'ready.part'), JSON.stringify(report));
    // In one step, so that nobody reads half of it.
    await rename(join(folder, 'ready.part'), join(folder, 'ready.json'));
    return report;
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOENT') return undefined;
    throw error;
  }
}

async function leave(): Promise<void> {
  await rm(seat, { force: true });
  if ((await readdir(join(folder, 'users'))).length > 0) return;
  // In one step as well: whoever comes now begins anew.
  const away = `${folder}-${process.pid}`;
  await rename(folder, away);
  await rm(away, { recursive: true, force: true });
}

async function install(app: string): Promise<Installed> {
  // --ignore-scripts: the build is run by itself, so that npm's output is JSON and nothing else.
  await run('npm', ['run', 'build'], { cwd: projectRoot });
  const { stdout } = await run(
    'npm',
    ['pack', '--json', '--ignore-scripts', '--pack-destination', folder],
    { cwd: projectRoot, maxBuffer: 16 * 1024 * 1024 },
  );
  const parsed = JSON.parse(stdout);
  // npm 11 gives a list, later ones an object by package name.
  const [report] = Array.isArray(parsed) ? parsed : Object.values<typeof parsed>(parsed);
  await writeFile(join(app, 'package.json'), JSON.stringify({ name: 'app', type: 'module' }));
  await run(
    'npm',
    ['install', '--no-audit', '--no-fund', '--prefer-offline', join(folder, report.filename)],
    { cwd: app, env: userEnvironment, timeout: 180_000, maxBuffer: 16 * 1024 * 1024 },
  );
  return {
    app,
    files: report.files.map(({ path }: { path: string }) => path),
    bytes: report.size,
  };
}
