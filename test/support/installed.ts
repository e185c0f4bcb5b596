/**
 * The package as users have it: packed into a tarball and installed by npm into a folder that holds nothing but what
 * the lockfile names for users, as the checkout has it, so that npm need not fetch and unpack it once more; what the
 * lockfile keeps for developers is not there. Once for all test files of a run, by the first that needs it; vitest
 * removes it when the run is over.
 */
import { execFile } from 'node:child_process';
import { access, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
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
  /** A folder for the PATH: its npx starts what is installed where it is called, and nothing else. */
  readonly quickNpx: string;
  /** What the tarball holds. */
  readonly files: readonly string[];
  readonly bytes: number;
}

/** Of a run of vitest, by its main process, which is its workers' parent. */
const folderOf = (run: number) => join(tmpdir(), `tidemark-package-${run}`);
const folder = folderOf(process.ppid);
const WAIT_MS = 200;
const WAIT_MAX_MS = 240_000;

/**
 * npm's own npx takes more processor time than most commands do that it starts: guide.test.ts sees a newcomer's guide
 * through with it, the other guides go without.
 */
export const withQuickNpx = (
  { quickNpx }: Installed,
  environment: Readonly<Record<string, string>> = userEnvironment,
): Readonly<Record<string, string>> => ({
  ...environment,
  PATH: `${quickNpx}${delimiter}${environment.PATH}`,
});

/** Packs and installs, or waits until another test file has. */
export async function installed(): Promise<Installed> {
  const app = join(folder, 'app');
  const isFirst = (await mkdir(app, { recursive: true })) !== undefined;
  if (isFirst) {
    const report = await install(app).catch((error: Error) => ({ error: error.message }));
    await writeFile(join(folder, 'ready.part'), JSON.stringify(report));
    // In one step, so that nobody reads half of it.
    await rename(join(folder, 'ready.part'), join(folder, 'ready.json'));
  }
  for (let waitedMs = 0; waitedMs < WAIT_MAX_MS; waitedMs += WAIT_MS) {
    const ready = await readFile(join(folder, 'ready.json'), 'utf8').catch(() => undefined);
    if (ready !== undefined) {
      const report = JSON.parse(ready) as Installed | { readonly error: string };
      if ('error' in report) throw new Error(`the package can't be installed: ${report.error}`);
      return report;
    }
    await sleep(WAIT_MS);
  }
  throw new Error('another test file did not end installing the package');
}

/** What vitest calls in its main process before a run, as one that was killed may have left some, and after it. */
export const setup = teardown;
export async function teardown(): Promise<void> {
  await rm(folderOf(process.pid), { recursive: true, force: true });
}

async function install(app: string): Promise<Installed> {
  // --ignore-scripts: the build is run by itself, so that npm's output is JSON and nothing else; by one thread, as
  // tsc's others take twice its processor time, and the other core has tests to run.
  await run('npm', ['run', 'build', '--', '--singleThreaded'], { cwd: projectRoot });
  const { stdout } = await run(
    'npm',
    ['pack', '--json', '--ignore-scripts', '--pack-destination', folder],
    { cwd: projectRoot, maxBuffer: 16 * 1024 * 1024 },
  );
  const parsed = JSON.parse(stdout);
  // npm 11 gives a list, later ones an object by package name.
  const [report] = Array.isArray(parsed) ? parsed : Object.values<typeof parsed>(parsed);
  await writeFile(join(app, 'package.json'), JSON.stringify({ name: 'app', type: 'module' }));
  await provide(app);
  await run(
    'npm',
    ['install', '--no-audit', '--no-fund', '--prefer-offline', join(folder, report.filename)],
    { cwd: app, env: userEnvironment, timeout: 180_000, maxBuffer: 16 * 1024 * 1024 },
  );
  const quickNpx = join(folder, 'bin');
  await mkdir(quickNpx);
  const npx = '#!/bin/sh\nname=$1\nshift\nexec "./node_modules/.bin/$name" "$@"\n';
  await writeFile(join(quickNpx, 'npx'), npx, { mode: 0o755 });
  return {
    app,
    quickNpx,
    files: report.files.map(({ path }: { path: string }) => path),
    bytes: report.size,
  };
}

interface Lockfile {
  readonly packages: Readonly<Record<string, { readonly dev?: boolean; readonly version: string }>>;
}

/** Puts there what the lockfile has for users, with a lockfile of its own, as an `npm install` of it would. */
async function provide(app: string): Promise<void> {
  const lock = await readFile(join(projectRoot, 'package-lock.json'), 'utf8');
  const packages: Record<string, unknown> = { '': { name: 'app' } };
  const folders = new Map<string, string[]>();
  for (const [path, entry] of Object.entries((JSON.parse(lock) as Lockfile).packages)) {
    if (path === '' || entry.dev === true) continue;
    // Of those for other machines.
    if (!(await isThere(join(projectRoot, path)))) continue;
    packages[path] = entry;
    // What is inside another's folder comes with it.
    if (path.lastIndexOf('node_modules/') > 0) continue;
    const into = dirname(path);
    folders.set(into, [...(folders.get(into) ?? []), path]);
  }
  for (const [into, paths] of folders) {
    await mkdir(join(app, into), { recursive: true });
    const words = [...paths, join(app, into)];
    // Linked, not copied, where it is the same file system: npm replaces files, and writes into none.
    await run('cp', ['-RPpl', ...words], { cwd: projectRoot }).catch(() =>
      run('cp', ['-RPpf', ...words], { cwd: projectRoot }),
    );
  }
  const file = JSON.stringify({ name: 'app', lockfileVersion: 3, requires: true, packages });
  await writeFile(join(app, 'package-lock.json'), file);
}

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );
