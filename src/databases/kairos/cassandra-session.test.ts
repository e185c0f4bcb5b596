import { afterEach, expect, test, vi } from 'vitest';
import { ManualClock } from '../../runtime/index.ts';
import { CassandraSession } from './cassandra-session.ts';
import { batchOf } from './cell-batch.ts';
import { unitsOfCells } from './cell-batches.ts';
import { driver } from './driver.ts';
import { statements } from './statements.ts';

afterEach(() => vi.restoreAllMocks());

test('a server that prepares no batches gets each cell as a statement of its own', async () => {
  const { Client, errors, types } = driver();
  vi.spyOn(Client.prototype, 'connect').mockResolvedValue();
  const prepared: string[] = [];
  vi.spyOn(Client.prototype, 'execute').mockImplementation((query) => {
    prepared.push(query);
    const { syntaxError } = types.responseErrorCodes;
    return Promise.reject(
      new errors.ResponseError(syntaxError, "no viable alternative at 'BEGIN'"),
    );
  });
  const sent: unknown[] = [];
  vi.spyOn(Client.prototype, 'batch').mockImplementation(async (queries) => {
    sent.push(...queries);
  });
  const config = { hosts: ['localhost'], datacenter: 'dc1', keyspace: 'k', requestsInFlightMax: 1 };
  const session = new CassandraSession(config, new ManualClock(0));
  await session.connect();
  const [key, value] = [Buffer.from('row'), Buffer.from('v')];
  const write = () => {
    const cells = [1, 2, 3].map((n) => ({ key, column: Buffer.from([0, 0, 0, n]), value }));
    return session.writeUnits(unitsOfCells(batchOf(cells.map((c) => ({ ...c, ttlSeconds: 9 })))));
  };
  for (const _ of [1, 2]) expect(await write()).toEqual([]);
  expect(prepared.map((query) => query.slice(0, 20))).toEqual(['BEGIN UNLOGGED BATCH']);
  const columns = [1, 2, 3, 1, 2, 3].map((n) => Buffer.from([0, 0, 0, n]));
  expect(sent).toEqual(
    columns.map((column) => ({ query: statements.writeCell, params: [key, column, value, 9] })),
  );
});
