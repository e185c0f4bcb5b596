import { expect, it } from 'vitest';
import { jsonCodec } from './codecs/index.ts';
import { topology } from './topology.ts';

const reading = (options?: { key: string }) =>
  topology('reading', ({ source }) => {
    source('readings', jsonCodec(), options).to('copy', { key: () => null, value: () => '' });
  });

it('names the field that keys records published without a key', () => {
  expect(reading({ key: 'sensor' }).sources[0]?.key).toBe('sensor');
  expect(reading().sources[0]?.key).toBeUndefined();
});

it('changes nothing that a running topology’s epochs depend on', () => {
  expect(reading({ key: 'sensor' }).hash).toBe(reading().hash);
});
