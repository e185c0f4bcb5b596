/** Examples do what they say, and each is shown in the list. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { baskets } from '../../examples/baskets.ts';
import { failedLogins } from '../../examples/failed-logins.ts';
import { wordCount } from '../../examples/word-count.ts';
import { drive } from '../../src/index.ts';
import { projectRoot } from './source.ts';

const minute = 60_000;

it('counts each word in overlapping windows', () => {
  const line = (text: string, at: number) => ({ value: { text, at } });
  const driver = drive(wordCount)
    .pipe('lines', [line('Tide, tide!', 6 * minute), line('mark the tide', 11 * minute)])
    .end();
  const counts = driver
    .read<{ word: string; start: number; count: number }>('words.10m')
    .filter(({ word }) => word === 'tide')
    .map(({ start, count }) => [start / minute, count]);
  expect(counts).toEqual([
    [0, 2],
    [5, 3],
    [10, 1],
  ]);
});

it('gives a visit’s basket when the customer falls silent; what can’t be sold is set aside', () => {
  const item = (customer: string, at: number, cents: number, currency = 'EUR') => ({
    key: customer,
    value: { customer, currency, cents, at },
  });
  const driver = drive(baskets).pipe('items', [
    item('ada', 0, 250),
    item('ada', 20 * minute, 100),
    item('ada', 21 * minute, 9, 'GBP'),
    item('ada', 90 * minute, 400),
  ]);
  expect(driver.read('baskets')).toEqual([{ customer: 'ada', start: 0, items: 2, cents: 350 }]);
  expect(driver.read('items.dead-letter')).toMatchObject([{ offset: 2, code: 'CURRENCY_UNKNOWN' }]);
  driver.end();
  expect(driver.read('baskets')).toHaveLength(2);
});

it('raises one alarm at the third failure within a minute', () => {
  const login = (account: string, at: number, isRight = false) => ({
    key: account,
    value: { account, isRight, at },
  });
  const driver = drive(failedLogins)
    .pipe('logins', [
      login('ada', 0),
      login('bob', 1_000),
      login('ada', 20_000),
      login('ada', 30_000, true),
      login('ada', 40_000),
      login('ada', 41_000),
      login('bob', 62_000),
      login('bob', 63_000),
    ])
    .end();
  expect(driver.read('logins.alarms')).toEqual([{ account: 'ada', at: 40_000, failed: 3 }]);
});

it('lists every example', () => {
  const list = readFileSync(join(projectRoot, 'examples/README.md'), 'utf8');
  const files = readdirSync(join(projectRoot, 'examples')).filter((name) => name.endsWith('.ts'));
  expect(files).toHaveLength(3);
  expect(files.filter((name) => !list.includes(`(${name})`))).toEqual([]);
});
