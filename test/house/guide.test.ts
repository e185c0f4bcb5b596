/**
 * A newcomer's first ten minutes, word by word: the guide's files and commands, in an empty folder, with the
 * package installed, on the machine's own Node; and the compiler's opinion of the files.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { blocksOf, follow, patternOf } from '../support/guide.ts';
import { type Installed, installed, userEnvironment, withQuickNpx } from '../support/installed.ts';
import { projectRoot } from './source.ts';

const run = promisify(execFile);
const guide = await readFile(join(projectRoot, 'docs/guides/your-first-topology.md'), 'utf8');
const binaries = join(projectRoot, 'node_modules', '.bin');

let installation: Installed;
const folders: string[] = [];

beforeAll(async () => {
  installation = await installed();
}, 240_000);

afterAll(async () => {
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
});

/** An empty folder where `npm install tidemark` was done. */
async function emptyFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-guide-'));
  folders.push(folder);
  await symlink(join(installation.app, 'node_modules'), join(folder, 'node_modules'));
  return folder;
}

describe('the first topology, as the guide tells it', () => {
  const onNode24 = { ...userEnvironment, PATH: `${binaries}:${userEnvironment.PATH}` };
  const nodes = [
    { node: 'the machine’s own Node, and its npx', environment: () => userEnvironment },
    { node: 'Node 24', environment: () => withQuickNpx(installation, onNode24) },
  ];

  it.each(nodes)('works on $node', async ({ environment }) => {
    const seen: string[] = [];
    await follow(guide, {
      folder: await emptyFolder(),
      environment: environment(),
      see: ({ line, command, printed, expected }) => {
        seen.push(command);
        if (expected === undefined) return;
        expect(printed, `line ${line}: ${command}`).toMatch(patternOf(expected));
      },
    });
    expect(seen.length).toBeGreaterThan(6);
  });

  it.each([
    { resolution: 'nodenext', options: {} },
    { resolution: 'bundler', options: { module: 'preserve', moduleResolution: 'bundler' } },
  ])('type-checks with module resolution $resolution', async ({ options }) => {
    const folder = await emptyFolder();
    const files = blocksOf(guide).flatMap(({ marks, text }) => {
      const name = marks.find((mark) => mark.startsWith('file='))?.slice('file='.length);
      return name === undefined ? [] : [{ name, text }];
    });
    for (const { name, text } of files) await writeFile(join(folder, name), text);
    await writeFile(join(folder, 'package.json'), '{"type":"module"}');
    const given = JSON.parse(await readFile(join(folder, 'tsconfig.json'), 'utf8'));
    const typeRoots = [join(projectRoot, 'node_modules', '@types')];
    const config = {
      ...given,
      compilerOptions: { ...given.compilerOptions, ...options, typeRoots },
    };
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(config));
    const { stdout } = await run(process.execPath, [join(binaries, 'tsc'), '--listFiles'], {
      cwd: folder,
    }).catch((error) => {
      throw new Error(error.stdout || error.message);
    });
    expect(stdout).toMatch(/tidemark\/dist\/src\/index\.d\.ts/);
    expect(stdout).toMatch(/\/mine\.ts/);
  });
});
