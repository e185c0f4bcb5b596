import { expect, test } from 'vitest';
import { readAhead } from './read-ahead.ts';

/** Sources of two pages each, that note when they are begun and ended. */
function sources(count: number, failing?: number) {
  const notes: string[] = [];
  const source = async function* (n: number) {
    notes.push(`begins ${n}`);
    try {
      await Promise.resolve();
      if (n === failing) throw new Error(`${n} fails`);
      yield `${n}a`;
      yield `${n}b`;
    } finally {
      notes.push(`ends ${n}`);
    }
  };
  return { notes, all: Array.from({ length: count }, (_, n) => source(n)) };
}

test('pages come in the order of their sources', async () => {
  const { all } = sources(4);
  const pages: string[] = [];
  for await (const page of readAhead(all, 3)) pages.push(page);
  expect(pages).toEqual(['0a', '0b', '1a', '1b', '2a', '2b', '3a', '3b']);
});

test('so many are begun at once, and another when one is through', async () => {
  const { notes, all } = sources(4);
  const pages = readAhead(all, 2);
  await pages.next();
  expect(notes).toEqual(['begins 0', 'begins 1']);
  await pages.next();
  await pages.next();
  expect(notes).toEqual(['begins 0', 'begins 1', 'ends 0', 'begins 2']);
  await pages.return(undefined);
  expect(notes.slice(4).toSorted()).toEqual(['ends 1', 'ends 2']);
});

test('a source is asked for when its turn to begin has come', async () => {
  const { notes, all } = sources(3);
  const asked = (function* () {
    for (const [n, source] of all.entries()) {
      notes.push(`asked for ${n}`);
      yield source;
    }
  })();
  const pages = readAhead(asked, 1);
  await pages.next();
  expect(notes).toEqual(['asked for 0', 'begins 0']);
  await pages.next();
  await pages.next();
  expect(notes).toEqual(['asked for 0', 'begins 0', 'ends 0', 'asked for 1', 'begins 1']);
  await pages.return(undefined);
});

test('a source that fails is heard in its turn, and the others are ended', async () => {
  const { notes, all } = sources(4, 1);
  const got: string[] = [];
  const read = async () => {
    for await (const page of readAhead(all, 3)) got.push(page);
  };
  await expect(read()).rejects.toThrow('1 fails');
  expect(got).toEqual(['0a', '0b']);
  expect(notes.filter((note) => note.startsWith('ends')).toSorted()).toEqual([
    'ends 0',
    'ends 1',
    'ends 2',
    'ends 3',
  ]);
});
