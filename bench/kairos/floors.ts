/**
 * What Cassandra alone needs for the work of a bench, whoever asks for it: the bound of both servers' figures. Cells
 * are counted where they lie, so that none crosses the wire, and written by a bare driver that has no other work.
 */
import { Client, types } from 'cassandra-driver';
import type { KeyspaceAddress } from '../../test/support/cassandra.ts';

const READS_IN_FLIGHT = 32;
const WRITES_IN_FLIGHT = 64;

async function withClient<T>(address: KeyspaceAddress, each: (client: Client) => Promise<T>) {
  const { hosts, datacenter, keyspace } = address;
  const client = new Client({
    contactPoints: [...hosts],
    localDataCenter: datacenter,
    keyspace,
    socketOptions: { readTimeout: 60_000 },
  });
  try {
    await client.connect();
    return await each(client);
  } finally {
    await client.shutdown();
  }
}

/** So many of `items` at once. */
async function inFlight<T>(items: readonly T[], most: number, each: (item: T) => Promise<unknown>) {
  let next = 0;
  const worker = async () => {
    while (next < items.length) await each(items[next++] as T);
  };
  await Promise.all(Array.from({ length: most }, worker));
}

export interface CellSlice {
  readonly key: Buffer;
  readonly first?: Buffer | undefined;
  readonly last?: Buffer | undefined;
}

/** Milliseconds for `count(*)` over each slice, `times` over. Throws when others than `cells` of them are there. */
export function countingMs(
  address: KeyspaceAddress,
  slices: readonly CellSlice[],
  { cells, times }: { readonly cells: number; readonly times: number },
): Promise<number[]> {
  const query =
    'SELECT count(*) AS cells FROM data_points WHERE key = ? AND column1 >= ? AND column1 <= ?';
  return withClient(address, async (client) => {
    const ms: number[] = [];
    for (let time = 0; time < times; time++) {
      let found = 0;
      const beganAt = performance.now();
      await inFlight(slices, READS_IN_FLIGHT, async ({ key, first, last }) => {
        const bounds = [first ?? Buffer.alloc(4), last ?? Buffer.alloc(4, 0xff)];
        const { rows } = await client.execute(query, [key, ...bounds], { prepare: true });
        found += Number(rows[0]?.cells);
      });
      ms.push(performance.now() - beganAt);
      if (found !== cells) throw new Error(`${found} cells are stored, not ${cells}`);
    }
    return ms;
  });
}

/** Points a second for cells of `series` rows in unlogged batches of a row each, with `perBatch` cells. */
export function insertedPerSecond(
  address: KeyspaceAddress,
  shape: { readonly series: number; readonly steps: number; readonly perBatch: number },
): Promise<number> {
  const query = 'INSERT INTO data_points (key, column1, value) VALUES (?, ?, ?) USING TTL ?';
  const { series, steps, perBatch } = shape;
  const keys = Array.from({ length: series }, (_, i) =>
    Buffer.from(`bench.floor${perBatch}\0dc=dc-${i % 3}:host=host-${i}:role=bench:`),
  );
  const batches: { readonly key: Buffer; readonly step: number }[] = [];
  for (let step = 0; step < steps; step += perBatch) {
    for (const key of keys) batches.push({ key, step });
  }
  return withClient(address, async (client) => {
    const beganAt = performance.now();
    await inFlight(batches, WRITES_IN_FLIGHT, ({ key, step }) => {
      const cells = Array.from({ length: Math.min(perBatch, steps - step) }, (_, k) => {
        const column = Buffer.allocUnsafe(4);
        column.writeUInt32BE((step + k) * 2_000);
        return { query, params: [key, column, Buffer.from([0xd8, 0x04]), 0] };
      });
      const consistency = types.consistencies.quorum;
      return client.batch(cells, { prepare: true, logged: false, isIdempotent: true, consistency });
    });
    return Math.round((series * steps) / ((performance.now() - beganAt) / 1_000));
  });
}
