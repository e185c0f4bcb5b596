/** Short reads that come together go together, and each gets what is its own. */
import { expect, test } from 'vitest';
import { FatalError, RetriableError } from '../../model/index.ts';
import { encodeColumn } from './column.ts';
import { JoinedReads } from './joined-reads.ts';
import { CellPacker, cellsOf } from './packed-cells.ts';
import type { CellPage } from './wide-rows.ts';

const [FIRST, LAST] = [encodeColumn(5), encodeColumn(9)];
const pageOf = (text: string): CellPage => {
  const packer = new CellPacker();
  packer.add(7, Buffer.from(text), 0, text.length);
  return packer.page;
};
const keysOf = (count: number) => Array.from({ length: count }, (_, i) => Buffer.from(`key ${i}`));
const textOf = (page: CellPage | undefined) =>
  page === undefined ? undefined : cellsOf(page).map(({ value }) => value.toString());

function joining(answer: (keys: readonly string[]) => ReadonlyMap<string, CellPage> | undefined) {
  const requests: string[][] = [];
  const reads = new JoinedReads(async (keys) => {
    const names = keys.map(String);
    requests.push(names);
    return answer(names);
  });
  return { requests, reads };
}
const echoed = (keys: readonly string[]) =>
  new Map(keys.filter((key) => key !== 'key 1').map((key) => [key, pageOf(key)]));

test('reads of one turn over the same columns are one request, of at most sixteen rows', async () => {
  const { requests, reads } = joining(echoed);
  const pages = await Promise.all(keysOf(20).map((key) => reads.read(key, FIRST, LAST)));
  expect(requests.map((each) => each.length)).toEqual([16, 4]);
  expect(pages.map(textOf)).toEqual(keysOf(20).map((key, i) => (i === 1 ? [] : [String(key)])));
  await Promise.all(keysOf(2).map((key) => reads.read(key, FIRST, LAST)));
  expect(requests).toHaveLength(3);
});

test('reads over other columns are not joined, and one by itself is read alone', async () => {
  const { requests, reads } = joining(echoed);
  const alone = await Promise.all([
    reads.read(Buffer.from('a'), FIRST, LAST),
    reads.read(Buffer.from('b'), FIRST, FIRST),
  ]);
  expect(alone).toEqual([undefined, undefined]);
  expect(requests).toEqual([]);
});

test('what is too much for a page, or refused, is read alone; what failed otherwise fails', async () => {
  const both = (reads: JoinedReads) =>
    Promise.all(keysOf(2).map((key) => reads.read(key, FIRST, LAST)));
  expect(await both(joining(() => undefined).reads)).toEqual([undefined, undefined]);
  const failing = (error: Error) =>
    joining(() => {
      throw error;
    }).reads;
  const refused = new FatalError('too many keys', { code: 'REFUSED' });
  expect(await both(failing(refused))).toEqual([undefined, undefined]);
  const away = new RetriableError('away', { code: 'SINK_UNREACHABLE' });
  await expect(both(failing(away))).rejects.toBe(away);
});
