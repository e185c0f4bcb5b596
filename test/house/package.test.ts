/**
 * What users install is not what runs in a checkout: so the tarball is packed, installed into an empty folder
 * from the registry, and used from there.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, expect, it } from 'vitest';
import { type Installed, installed, userEnvironment } from '../support/installed.ts';
import { projectRoot } from './source.ts';

const run = promisify(execFile);

let installation: Installed;
let app: string;

beforeAll(async () => {
  installation = await installed();
  app = installation.app;
}, 240_000);

it('holds the program, its types, its data and its licence, and no tests', () => {
  const { files, bytes } = installation;
  expect(files).toEqual(
    expect.arrayContaining([
      'README.md',
      'ARCHITECTURE.md',
      'LICENSE',
      'CHANGELOG.md',
      'docs/guides/your-first-topology.md',
      'bin/tidemark',
      'bin/launch.js',
      'bin/watch-parent.mjs',
      'bin/package.json',
      'data/votes-testnet.ndjson.zst',
      'dist/src/index.js',
      'dashboard/index.html',
      'dashboard/views/overview.js',
      'dist/src/index.d.ts',
      'dist/src/cli/main.js',
      'package.json',
    ]),
  );
  expect(
    files.filter((path) => /\.(?:test|suite)\.|testing\.|^(?:test|bench|src)\//.test(path)),
  ).toEqual([]);
  expect(bytes).toBeLessThan(2_000_000);
});

it('runs as npx runs it, whatever Node the machine has', async () => {
  const { version } = JSON.parse(await readFile(join(projectRoot, 'package.json'), 'utf8'));
  const bin = join(app, 'node_modules', '.bin', 'tidemark');
  const { stdout, stderr } = await run(bin, ['--version'], { cwd: app, env: userEnvironment });
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
  const { stdout } = await run(process.execPath, ['use.ts'], { cwd: app, env: userEnvironment });
  expect(Number(stdout)).toBeGreaterThan(0);
});

it('plays the demo from an empty folder, and leaves nothing there', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-demo-test-'));
  try {
    const bin = join(app, 'node_modules', '.bin', 'tidemark');
    const { stdout } = await run(bin, ['demo', '--once', '--port', '0'], {
      cwd: folder,
      env: userEnvironment,
      timeout: 100_000,
    });
    expect(stdout).toMatch(/67980 of 67980 recorded votes published \(100%\), 0 to be read/);
    expect(stdout).toMatch(/^testnet +67952 +1\.21 +1\.00 +2\.00 +3\.00 .* final$/m);
    expect(await readdir(folder)).toEqual([]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
