import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { fileBelow } from './migrate-job.ts';

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'tidemark-migrate-job-'));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  for (const folder of ['allowed/deep', 'allowed-not'])
    mkdirSync(join(root, folder), { recursive: true });
  for (const file of [
    'allowed/a.db',
    'allowed/deep/b.db',
    'allowed/..odd.db',
    'allowed-not/c.db',
  ]) {
    writeFileSync(join(root, file), '');
  }
  symlinkSync(join(root, 'allowed-not/c.db'), join(root, 'allowed/out.db'));
  symlinkSync(join(root, 'allowed-not'), join(root, 'allowed/outer'));
  symlinkSync(join(root, 'allowed/deep/b.db'), join(root, 'allowed/in.db'));
});

describe('a file that a caller names', () => {
  it.each(['a.db', 'deep/b.db', './deep/../a.db', 'in.db', '..odd.db'])('is read at %s', (file) => {
    expect(fileBelow(join(root, 'allowed'), file)).toContain(join(root, 'allowed'));
  });

  it.each([
    '../allowed-not/c.db',
    'out.db',
    'outer/c.db',
    'deep',
    '.',
    'missing.db',
    'a.db\0.db',
    '/etc/passwd',
  ])('is refused at %s, with no word on what lies there', (file) => {
    expect(() => fileBelow(join(root, 'allowed'), file)).toThrow(
      expect.objectContaining({ code: 'FILE_NOT_OFFERED' }),
    );
  });

  it('is refused where no folder is named', () => {
    expect(() => fileBelow(undefined, 'a.db')).toThrow(
      expect.objectContaining({ code: 'JOB_NOT_OFFERED' }),
    );
  });
});
