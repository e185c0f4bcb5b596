import { expect, it } from 'vitest';
import { jsonCodec } from '../codecs/index.ts';
import { drive } from '../driver.ts';
import { window } from '../operators/index.ts';
import { topology } from '../topology.ts';
import { tumbling } from '../windows.ts';
import { closed } from './closed.ts';
import { count } from './count.ts';

const counted = topology('counted', ({ source }) => {
  source('words', jsonCodec<{ word: string; at: number }>({ timestamp: 'at' }))
    .pipe(
      'per word',
      window({ by: ['word'], windows: tumbling({ sizeMs: 10, graceMs: 0 }), aggregate: count() }),
    )
    .pipe(
      'results',
      closed(({ key: [word], start, state }) => ({ word, start, n: state.count })),
    )
    .to('counts', { key: (row) => row.word ?? null, value: JSON.stringify });
});

const say = (word: string, at: number) => ({ key: word, value: { word, at } });

it('gives one row of your own per closed window', () => {
  const driver = drive(counted)
    .pipe('words', [say('a', 1), say('b', 2), say('a', 3)])
    .end();
  expect(driver.read('counts')).toEqual([
    { word: 'a', start: 0, n: 2 },
    { word: 'b', start: 0, n: 1 },
  ]);
});

it('gives none for a record that came when its window was closed', () => {
  const driver = drive(counted)
    .pipe('words', [say('a', 1), say('a', 25), say('a', 2)])
    .end();
  expect(driver.read('counts')).toEqual([
    { word: 'a', start: 0, n: 1 },
    { word: 'a', start: 20, n: 1 },
  ]);
});

it('shows in the drawing as what it is', () => {
  expect(counted.graph.nodes.find(({ label }) => label === 'results')?.kind).toBe('closed');
});

it('goes on when a record without a schema has nothing that is asked for', () => {
  const odd = { key: null, value: { at: 0 } };
  const driver = drive(counted)
    .pipe('words', [odd, say('a', 1)])
    .end();
  expect(driver.read('counts')).toEqual([{ word: 'a', start: 0, n: 1 }]);
  expect(drive(counted).pipe('words', [odd]).end().read('counts')).toEqual([]);
});
