import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { makeDirectory } from './make-directory.ts';

function temporary(): string {
  const directory = mkdtempSync(join(tmpdir(), 'tidemark-make-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  return directory;
}

test('a directory is made with all that is missing above it, and stays when it is there', () => {
  const path = join(temporary(), 'a', 'b', 'c');
  makeDirectory(path);
  writeFileSync(join(path, 'file'), '');
  makeDirectory(path);
  expect(existsSync(join(path, 'file'))).toBe(true);
});

test('one below a file is refused', () => {
  const file = join(temporary(), 'file');
  writeFileSync(file, '');
  expect(() => makeDirectory(join(file, 'a', 'b'))).toThrow(/ENOTDIR/);
});

test.runIf(process.platform === 'linux')(
  'one below /proc, which takes none, is refused instead of tried for ever',
  () => {
    expect(() => makeDirectory('/proc/tidemark/a')).toThrow(/ENOENT|EACCES/);
  },
);
