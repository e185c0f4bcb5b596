import { createRequire } from 'node:module';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { batchOf } from './cell-batch.ts';
import { PackedCells } from './cell-inserts.ts';
import { encodeColumn } from './column.ts';
import { installPackedRequests } from './packed-requests.ts';

const require = createRequire(import.meta.url);
const { ExecuteRequest } = require('cassandra-driver/lib/requests.js');
const Encoder = require('cassandra-driver/lib/encoder.js');
const { DefaultExecutionOptions } = require('cassandra-driver/lib/execution-options.js');
const { defaultOptions } = require('cassandra-driver/lib/client-options.js');

const statement = Buffer.from('0123456789abcdef');
const [blob, int] = [3, 9].map((code) => ({ type: { code, info: null } }));
const [aCell, resultId] = [[blob, blob, blob, int], Buffer.from('a result')];

/** The bytes of a request with these values, at the protocol's version `version`. */
function frameOf(version: number, params: readonly unknown[], queryId = statement): Buffer {
  const client = { profileManager: { getProfile: () => ({}) }, options: defaultOptions() };
  const options = { timestamp: 1_700_000_000_000, consistency: 4, prepare: true };
  const execution = DefaultExecutionOptions.create(options, client);
  const columns = Array.from({ length: Math.ceil(params.length / 4) }, () => aCell).flat();
  const request = new ExecuteRequest('', queryId, params, execution, { columns, resultId });
  return request.write(new Encoder(version, {}), 7);
}

const cells = fc.array(
  fc.record({
    key: fc.constantFrom('a row key', 'é', 'another').map((text) => Buffer.from(text)),
    column: fc.nat({ max: 0xffffffff }).map(encodeColumn),
    value: fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)),
    ttlSeconds: fc.integer({ min: -1, max: 630_000_000 }),
  }),
  { minLength: 1, maxLength: 130 },
);

test.each([3, 4, 5])(
  'packed cells are sent, and sent again, in the bytes that the driver writes of them, protocol %d',
  (version) => {
    expect(installPackedRequests()).toBe(true);
    fc.assert(
      fc.property(cells, (given) => {
        const batch = batchOf(given);
        const params = new PackedCells(batch, Uint32Array.from(given.keys()));
        expect(params.inserts).toBeGreaterThanOrEqual(given.length);
        // The last once more, as often as the statement has room.
        const filled = Array.from({ length: params.inserts }, (_, i) => given[i] ?? given.at(-1));
        const all = filled.flatMap((cell) => [
          cell?.key,
          cell?.column,
          cell?.value,
          cell?.ttlSeconds,
        ]);
        expect(frameOf(version, params).equals(frameOf(version, all))).toBe(true);
        // Sent again, to a node that knows the statement by another id, when the batch may hold other cells.
        batch.columns.fill(0);
        batch.rowAt.fill(0);
        batch.bytes.fill(0xee);
        batch.clear();
        for (const queryId of [Buffer.from('fedcba9876543210'), statement]) {
          expect(frameOf(version, params, queryId).equals(frameOf(version, all, queryId))).toBe(
            true,
          );
        }
      }),
    );
  },
);
