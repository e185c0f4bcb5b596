/**
 * What the documents say is so: the reference is what the program says of itself, guides do what they show, links
 * lead somewhere, and the rooms of ARCHITECTURE.md are those of the tree.
 */
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { referenceFolder, referencePages } from '../../docs/generate.ts';
import { blocksOf, follow, patternOf } from '../support/guide.ts';
import { type Installed, installed, withQuickNpx } from '../support/installed.ts';
import { filesBelow, projectRoot } from './source.ts';

const run = promisify(execFile);

const atRoot = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'CHANGELOG.md'];
const documents = [
  ...atRoot.map((path) => ({ path, text: readFileSync(join(projectRoot, path), 'utf8') })),
  ...filesBelow('docs', ['.md']),
  ...filesBelow('examples', ['.md']),
];
/** Followed by guide.test.ts. */
const FIRST = 'docs/guides/your-first-topology.md';
const followed = documents.filter(
  ({ path, text }) => path !== FIRST && blocksOf(text).some(({ marks }) => marks.includes('run')),
);
const fileMark = 'file=';
const fileOf = (marks: readonly string[]) =>
  marks.find((mark) => mark.startsWith(fileMark))?.slice(fileMark.length);

describe('the reference', () => {
  let pages: Awaited<ReturnType<typeof referencePages>>;

  beforeAll(async () => {
    pages = await referencePages();
  });

  it('is what the program says of itself (else: npm run docs)', () => {
    const written = new Map(
      readdirSync(referenceFolder).map((name) => [
        name,
        readFileSync(join(referenceFolder, name), 'utf8'),
      ]),
    );
    expect([...written.keys()].sort()).toEqual([...pages.keys()].sort());
    for (const [name, text] of pages) expect(written.get(name), name).toBe(text);
  });

  it('knows every command, and what each takes', () => {
    const commands = pages.get('commands.md') ?? '';
    for (const name of ['demo', 'up', 'publish', 'subscribe', 'replay', 'backlog clear']) {
      expect(commands).toContain(`## tidemark ${name}\n`);
    }
    expect(commands).toContain('--topology <name>');
  });
});

describe('documents', () => {
  it('link to files that exist', () => {
    const links = documents.flatMap(({ path, text }) =>
      [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => ({ path, target: target ?? '' })),
    );
    expect(links.length).toBeGreaterThan(25);
    const broken = links.filter(({ path, target }) => {
      if (/^(?:https?:|#)/.test(target)) return false;
      return !existsSync(join(projectRoot, dirname(path), target.split('#')[0] as string));
    });
    expect(broken).toEqual([]);
  });

  it('name paths that exist', () => {
    const named = documents
      .filter(({ path }) => ['ARCHITECTURE.md', 'CONTRIBUTING.md'].includes(path))
      .flatMap(({ path, text }) =>
        [...text.matchAll(/`((?:src|test|topologies|docs|bin)\/[\w./-]+)`/g)].map(
          ([, file]) => `${path}: ${file}`,
        ),
      )
      .filter((place) => !/NAME|FOLDER/.test(place));
    expect(named.length).toBeGreaterThan(20);
    const missing = named.filter(
      (place) => !existsSync(join(projectRoot, place.split(': ')[1] as string)),
    );
    // Of a first change's files, which are yet to be written; and of a package, which is compiled.
    expect(missing).toEqual([]);
  });

  it('show every room, and none that is not there', async () => {
    const { text } = documents.find(({ path }) => path === 'ARCHITECTURE.md') as { text: string };
    const shown = [...text.matchAll(/^\| `src\/([a-z]+)` +\|/gm)].map(([, room]) => room);
    // Of those that are under way and not committed, nothing is to be said yet.
    const { stdout } = await run('git', ['ls-files', 'src'], { cwd: projectRoot });
    const folders = stdout.split('\n').flatMap((path) => path.split('/').slice(1, -1)[0] ?? []);
    const rooms = [...new Set(folders)];
    expect(shown.sort()).toEqual(rooms.sort());
  });

  it('promise the two commands that are all one must know', () => {
    const { text } = documents.find(({ path }) => path === 'README.md') as { text: string };
    expect(text).toMatch(/^npm ci && npm start\b/m);
    expect(text).toMatch(/^npm ci && npm test\b/m);
  });
});

describe('guides do what they show', () => {
  let installation: Installed;
  let folder: string;

  beforeAll(async () => {
    installation = await installed();
    folder = await mkdtemp(join(tmpdir(), 'tidemark-docs-'));
    await symlink(join(installation.app, 'node_modules'), join(folder, 'node_modules'));
  }, 240_000);

  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  it.concurrent.each(followed.map(({ path, text }) => ({ path, text })))(
    '$path',
    async ({ path, text }) => {
      const place = join(folder, path.replaceAll('/', '-'));
      await mkdir(place);
      await symlink(join(installation.app, 'node_modules'), join(place, 'node_modules'));
      let compared = 0;
      await follow(text, {
        folder: place,
        environment: withQuickNpx(installation),
        see: ({ line, command, printed, expected }) => {
          if (expected === undefined) return;
          compared++;
          expect(printed, `line ${line}: ${command}`).toMatch(patternOf(expected));
        },
      });
      expect(compared).toBeGreaterThan(0);
    },
  );

  it('and show TypeScript that the compiler accepts', async () => {
    const names: string[] = [];
    for (const { path, text } of followed) {
      for (const block of blocksOf(text).filter(({ language }) => language === 'ts')) {
        const name = fileOf(block.marks);
        if (name === undefined) continue;
        const file = join('types', path.replaceAll('/', '-'), name);
        await mkdir(join(folder, dirname(file)), { recursive: true });
        await writeFile(join(folder, file), block.text);
        names.push(file);
      }
    }
    expect(names.length).toBeGreaterThan(2);
    const guide = await readFile(join(projectRoot, FIRST), 'utf8');
    const config = blocksOf(guide).find(({ marks }) => fileOf(marks) === 'tsconfig.json');
    const given = JSON.parse(config?.text ?? '');
    const typeRoots = [join(projectRoot, 'node_modules', '@types')];
    await writeFile(join(folder, 'package.json'), '{"type":"module"}');
    await writeFile(
      join(folder, 'tsconfig.json'),
      JSON.stringify({
        compilerOptions: { ...given.compilerOptions, typeRoots, noUncheckedIndexedAccess: true },
        files: names,
      }),
    );
    const tsc = join(projectRoot, 'node_modules', '.bin', 'tsc');
    await run(process.execPath, [tsc, '-p', folder]).catch((error) => {
      throw new Error(error.stdout || error.message);
    });
  });
});
