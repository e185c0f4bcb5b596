/** The tree itself is kept in order: headers, sizes, no leftovers, nothing of the machine it was written on. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { describe, expect, it } from 'vitest';
import { filesBelow, projectRoot, type SourceFile } from './source.ts';

const linesMax = 500;
/** Tests are tables and read alone: they may be longer. */
const testLinesMax = 800;

/** Files that are longer, and why they should stay one. */
const longFiles: Readonly<Record<string, string>> = {
  'src/broker/contract.suite.ts': 'the whole contract in one place, run against both brokers',
};

/** What git tracks or would track; binary files left out. */
const tracked: readonly SourceFile[] = execFileSync(
  'git',
  ['ls-files', '--cached', '--others', '--exclude-standard'],
  { cwd: projectRoot, encoding: 'utf8', maxBuffer: 16 * 1024 * 1024 },
)
  .trim()
  .split('\n')
  .flatMap((path) => {
    try {
      const bytes = readFileSync(join(projectRoot, path));
      return bytes.includes(0) ? [] : [{ path, text: bytes.toString('utf8') }];
    } catch {
      return []; // deleted, not yet committed
    }
  });

const product = [...filesBelow('src'), ...filesBelow('topologies')];
const sources = [...product, ...filesBelow('test'), ...filesBelow('bench'), ...filesBelow('docs')];

/** Paths whose text fits, with the line of the first fit. */
function found(files: readonly SourceFile[], pattern: RegExp): readonly string[] {
  return files.flatMap(({ path, text }) => {
    const at = text.search(pattern);
    return at < 0 ? [] : [`${path}:${text.slice(0, at).split('\n').length}`];
  });
}

// Put together, so that this file does not find itself.
const leftovers = new RegExp(`\\b(?:${['TO', 'FIX'].join('DO|')}ME|X{3})\\b`);
const machinePaths = new RegExp(`(?<![\\w./~-])/(?:${['work', 'root', 'home'].join('|')})/\\w`);
const registryHosts = new RegExp(
  `\\b(?:registry\\.${'npm'}js\\.org|registry\\.${'yarn'}pkg\\.com|npm\\.pkg\\.${'git'}hub\\.com)\\b|_auth${'Token'}`,
);

describe('the checker', () => {
  it('reads this tree', () => {
    expect(tracked.length).toBeGreaterThan(60);
    expect(product.length).toBeGreaterThan(40);
  });

  it('finds planted leftovers, machine paths and registry hosts, with their line', () => {
    const planted = (text: string) => [{ path: 'a.ts', text: `first\n${text}` }];
    expect(found(planted(`// ${'TO'}DO: later`), leftovers)).toEqual(['a.ts:2']);
    expect(found(planted(`// ${'FIX'}ME`), leftovers)).toEqual(['a.ts:2']);
    expect(found(planted(`// X${'XX'} look`), leftovers)).toEqual(['a.ts:2']);
    expect(found(planted(`a.todos = 'XXXL'`), leftovers)).toEqual([]);
    expect(found(planted(`cd /${'work'}/main`), machinePaths)).toEqual(['a.ts:2']);
    expect(found(planted(`"/${'home'}/me/x"`), machinePaths)).toEqual(['a.ts:2']);
    expect(found(planted('src/work/a, /health, ~/home/x'), machinePaths)).toEqual([]);
    expect(found(planted(`https://registry.${'npm'}js.org/x`), registryHosts)).toEqual(['a.ts:2']);
  });
});

describe('this tree', () => {
  it('opens every file of the product with a comment that says what it is', () => {
    const bare = sources.filter(({ path }) => !/\.test\.ts$/.test(path));
    const headless = bare.filter(({ text }) => !/^(?:#!.*\n)?(?:\/\*\*|\/\/ )/.test(text));
    expect(headless.map(({ path }) => path)).toEqual([]);
  });

  it('has no leftovers', () => {
    expect(found(sources, leftovers)).toEqual([]);
  });

  it(`keeps files within ${linesMax} lines and tests within ${testLinesMax}, but for those listed with a reason`, () => {
    const long = sources.filter(({ path, text }) => {
      const bound = path.endsWith('.test.ts') ? testLinesMax : linesMax;
      return text.split('\n').length > bound + 1;
    });
    expect(long.map(({ path }) => path).filter((path) => !(path in longFiles))).toEqual([]);
    const needless = Object.keys(longFiles).filter(
      (path) => !long.some((file) => file.path === path),
    );
    expect(needless).toEqual([]);
  });

  it('names no path of the machine it was written on', () => {
    expect(found(tracked, machinePaths)).toEqual([]);
  });

  it('names no registry, so that everyone installs from their own', () => {
    expect(found(tracked, registryHosts)).toEqual([]);
    const lock = JSON.parse(readFileSync(join(projectRoot, 'package-lock.json'), 'utf8'));
    const packages = Object.entries<{ resolved?: string }>(lock.packages);
    expect(packages.length).toBeGreaterThan(50);
    expect(packages.filter(([, { resolved }]) => resolved !== undefined)).toEqual([]);
  });

  it('locks the optional packages of every platform, without which npm ci refuses', () => {
    // npm leaves out those that the registry at hand did not have when the lock was written.
    const { packages } = JSON.parse(
      readFileSync(join(projectRoot, 'package-lock.json'), 'utf8'),
    ) as {
      packages: Record<string, { optionalDependencies?: Record<string, string> }>;
    };
    const missing = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
      Object.keys(optionalDependencies)
        .filter((name) => {
          const besideOrBelow = [`node_modules/${name}`, `${path}/node_modules/${name}`];
          return !besideOrBelow.some((place) => place in packages);
        })
        .map((name) => `${name} of ${path}`),
    );
    expect(missing).toEqual([]);
  });

  it('lists every decision', () => {
    const decisions = filesBelow('docs/decisions', ['.md']).map(({ path }) => posix.basename(path));
    const index = readFileSync(join(projectRoot, 'docs/decisions/README.md'), 'utf8');
    expect(decisions.length).toBeGreaterThan(1);
    expect(
      decisions.filter((name) => name !== 'README.md' && !index.includes(`(${name})`)),
    ).toEqual([]);
  });

  it('keeps test titles from promising what is not yet', () => {
    const tests = sources.filter(({ path }) => path.endsWith('.test.ts'));
    expect(found(tests, /\b(?:it|test|describe)\.(?:only|todo|fails)\b/)).toEqual([]);
  });
});
