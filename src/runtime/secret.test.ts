import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { Secret } from './secret.ts';

const secret = new Secret('hunter2');

test('a secret shows in no way of printing', () => {
  const prints = [
    String(secret),
    `${secret}`,
    JSON.stringify({ token: secret }),
    inspect({ deep: { token: secret } }),
    inspect(secret, { showHidden: true, depth: 9 }),
    Object.keys(secret).join(),
    JSON.stringify(Object.getOwnPropertyDescriptors(secret)),
  ];
  for (const print of prints) expect(print).not.toContain('hunter2');
  expect(`${secret}`).toBe('[secret]');
});

test('a secret is revealed on demand and compares by its whole value', () => {
  expect(secret.reveal()).toBe('hunter2');
  expect(secret.matches('hunter2')).toBe(true);
  expect(secret.matches('hunter')).toBe(false);
  expect(secret.matches('hunter22')).toBe(false);
  expect(secret.matches('')).toBe(false);
});
