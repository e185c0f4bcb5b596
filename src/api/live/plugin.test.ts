import { expect, onTestFinished, test } from 'vitest';
import { fakeEngine } from '../../../test/support/fake-engine.ts';
import { createServer } from '../server.ts';

test('of what another process owns, the last closed window stored here is the answer', async () => {
  const engine = await fakeEngine();
  const { closed, ...own } = engine.live.network('testnet')!;
  const app = await createServer({
    ...engine,
    live: {
      ...engine.live,
      network: () => ({ ...own, closed: null }),
      stored: (_, id) =>
        id === 'nobody' ? undefined : { ...own, id, closed, open: null, movingAverage: 7 },
    },
  });
  onTestFinished(() => app.close());
  const get = async (path: string) => (await app.inject(`/v1/live/${path}`)).json();
  expect(await get('validators/elsewhere')).toMatchObject({ id: 'elsewhere', open: null, closed });
  expect(await get('validators/a')).toMatchObject({ id: 'a', open: own.open, closed });
  expect(await get('validators/nobody')).toMatchObject({ code: 'UNKNOWN_VALIDATOR' });
  // Open from its own memory, closed from the store: the merging task runs elsewhere.
  expect(await get('networks/testnet')).toMatchObject({ open: own.open, closed, movingAverage: 7 });
});
