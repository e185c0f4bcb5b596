/** Whoever follows guides must notice what is wrong in them: tried on planted faults. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { blocksOf, follow, patternOf } from '../support/guide.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemark-follow-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const fence = '```';
const block = (head: string, text: string) => `${fence}${head}\n${text}\n${fence}\n`;

async function tried(...blocks: string[]): Promise<readonly string[]> {
  const printed: string[] = [];
  await follow(blocks.join('\nand then\n\n'), {
    folder,
    environment: { PATH: process.env.PATH ?? '' },
    see: (followed) => {
      printed.push(followed.printed);
      if (followed.expected !== undefined)
        expect(followed.printed).toMatch(patternOf(followed.expected));
    },
  });
  return printed;
}

describe('following a guide', () => {
  it('writes files, runs commands in order, and compares what they print', async () => {
    const printed = await tried(
      block('json file=deep/a.json', '{"a":1}'),
      block('sh run', 'cat deep/a.json'),
      block('text output', '{"a":…}'),
      block('sh', 'exit 9'),
      block('sh run fails', 'exit 1'),
    );
    expect(printed).toEqual(['{"a":1}', '']);
    expect(await readFile(join(folder, 'deep/a.json'), 'utf8')).toBe('{"a":1}\n');
  });

  it('rejects where a command fails, does not fail, or prints another thing', async () => {
    await expect(tried(block('sh run', 'exit 3'))).rejects.toThrow(/exit 3 instead of exit 0/);
    await expect(tried(block('sh run fails', 'true'))).rejects.toThrow(/exit 0 instead of exit 1/);
    const wrong = tried(block('sh run', 'echo one'), block('text output', 'two'));
    await expect(wrong).rejects.toThrow(/one/);
  });

  it('compares with the whole of what is printed', async () => {
    const more = tried(block('sh run', 'echo one; echo two'), block('text output', 'one'));
    await expect(more).rejects.toThrow(/two/);
  });

  it('tries again what comes true in time', async () => {
    const [printed] = await tried(
      block('sh run eventually', 'echo x >> tries; wc -l < tries | tr -d " "'),
      block('text output', '3'),
    ).then((all) => all.slice(-1));
    expect(printed).toBe('3');
  });

  it('stops what it started in the background, with all that this started', async () => {
    const below =
      '(trap "echo stopped > said; exit 0" TERM; echo ready; while :; do sleep 0.05; done) &';
    await tried(block('sh run background', `${below} wait`), block('text output', 'ready'));
    expect(await readFile(join(folder, 'said'), 'utf8')).toBe('stopped\n');
  });

  it('says when what is in the background ends too soon', async () => {
    const ended = tried(block('sh run background', 'exit 0'), block('text output', 'ready'));
    await expect(ended).rejects.toThrow(/ended early/);
  });

  it('lets 8080 stand for a free port', async () => {
    const printed = await tried(block('sh run', 'echo $TIDEMARK_PORT http://127.0.0.1:8080/x'));
    expect(printed[0]).toMatch(/^\d+ http:\/\/127\.0\.0\.1:8080\/x$/);
    expect(printed[0]).not.toMatch(/^8080 /);
  });

  it('reads blocks with their line and marks', () => {
    const [only] = blocksOf(`one\n${block('sh run fails', 'exit 1')}`);
    expect(only).toEqual({ line: 2, language: 'sh', marks: ['run', 'fails'], text: 'exit 1\n' });
  });
});
