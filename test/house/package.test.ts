/**
 * What users install is not what runs in a checkout: so the tarball is packed, installed into an empty folder
 * from the registry, and used from there.
 */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { projectRoot } from './source.ts';

const run = promisify(execFile);

/** As in a user's shell: without the checkout's Node first, and without what npm tells its scripts. */
const environment = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^(?:npm_|INIT_CWD|NODE_|VITEST)/.test(name)),
);
environment.PATH = (process.env.PATH ?? '')
  .split(delimiter)
  .filter((folder) => !folder.includes('node_modules'))
  .join(delimiter);

let folder: string;
let app: string;
let packed: readonly string[];
let packedBytes: number;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemark-package-'));
  app = join(folder, 'app');
  await mkdir(app);
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
  packed = report.files.map((file: { path: string }) => file.path);
  packedBytes = report.size;

  await writeFile(join(app, 'package.json'), JSON.stringify({ name: 'app', type: 'module' }));
  await run(
    'npm',
    ['install', '--no-audit', '--no-fund', '--prefer-offline', join(folder, report.filename)],
    { cwd: app, env: environment, timeout: 120_000, maxBuffer: 16 * 1024 * 1024 },
  );
}, 240_000);

afterAll(() => rm(folder, { recursive: true, force: true }));

it('holds the program, its types, its data and its licence, and no tests', () => {
  expect(packed).toEqual(
    expect.arrayContaining([
      'LICENSE',
      'CHANGELOG.md',
      'bin/tidemark',
      'bin/launch.js',
      'bin/watch-parent.mjs',
      'bin/package.json',
      'data/votes-testnet.ndjson.zst',
      'dist/src/index.js',
      'dist/src/index.d.ts',
      'dist/src/cli/main.js',
      'package.json',
    ]),
  );
  expect(packed.filter((path) => /\.(?:test|suite)\.|^(?:test|bench|src)\//.test(path))).toEqual(
    [],
  );
  expect(packedBytes).toBeLessThan(2_000_000);
});

it('runs as npx runs it, whatever Node the machine has', async () => {
  const { version } = JSON.parse(await readFile(join(projectRoot, 'package.json'), 'utf8'));
  const bin = join(app, 'node_modules', '.bin', 'tidemark');
  const { stdout, stderr } = await run(bin, ['--version'], { cwd: app, env: environment });
  expect({ stdout: stdout.trim(), stderr }).toEqual({ stdout: version, stderr: '' });
});

it('can be imported and type-checks, declarations included', async () => {
  await writeFile(
    join(app, 'use.ts'),
    `import * as tidemark from 'tidemark';\nconst names: string[] = Object.keys(tidemark);\nconsole.log(names.length);\n`,
  );
  await writeFile(
    join(app, 'tsconfig.json'),
    JSON.stringify({
      compilerOptions: {
        target: 'es2024',
        lib: ['es2024'],
        module: 'nodenext',
        strict: true,
        noEmit: true,
        types: ['node'],
        typeRoots: [join(projectRoot, 'node_modules', '@types')],
        // The declarations of our dependencies are theirs; our own are checked as they are imported.
        skipLibCheck: true,
      },
      files: ['use.ts'],
    }),
  );
  const tsc = join(projectRoot, 'node_modules', '.bin', 'tsc');
  await run(process.execPath, [tsc, '-p', app]).catch((error) => {
    throw new Error(error.stdout || error.message);
  });
  const { stdout } = await run(process.execPath, ['use.ts'], { cwd: app, env: environment });
  expect(Number(stdout)).toBeGreaterThan(0);
});
