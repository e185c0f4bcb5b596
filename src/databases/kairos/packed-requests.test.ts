import { createRequire } from 'node:module';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { batchOf } from './cell-batch.ts';
import { PackedCells } from './cell-inserts.ts';
import { encodeColumn } from './column.ts';
import { installPackedRequests } from './packed-requests.ts';
import { PackedRowKeys } from './row-key-inserts.ts';
import { rowKeyParams } from './row-key-params.ts';

const require = createRequire(import.meta.url);
const { ExecuteRequest } = require('cassandra-driver/lib/requests.js');
const Encoder = require('cassandra-driver/lib/encoder.js');
const { DefaultExecutionOptions } = require('cassandra-driver/lib/execution-options.js');
const { defaultOptions } = require('cassandra-driver/lib/client-options.js');

const statement = Buffer.from('0123456789abcdef');
const column = (code: number, info: unknown = null) => ({ type: { code, info } });
const [blob, int, timestamp, text] = [3, 9, 11, 13].map((code) => column(code));
const tags = column(
  33,
  [text, text].map((each) => each?.type),
);
const [aCell, anEntry] = [
  [blob, blob, blob, int],
  [text, text, timestamp, text, tags, int],
];
const resultId = Buffer.from('a result');

/** The bytes of a request with these values, at the protocol's version `version`. */
function frameOf(
  version: number,
  params: readonly unknown[],
  queryId = statement,
  values: readonly unknown[] = aCell,
): Buffer {
  const client = { profileManager: { getProfile: () => ({}) }, options: defaultOptions() };
  const options = { timestamp: 1_700_000_000_000, consistency: 4, prepare: true };
  const execution = DefaultExecutionOptions.create(options, client);
  const columns = Array.from({ length: params.length / values.length }, () => values).flat();
  const request = new ExecuteRequest('', queryId, params, execution, { columns, resultId });
  return request.write(new Encoder(version, { encoding: { map: Map } }), 7);
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

const words = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 20 }),
  fc.constantFrom('host', 'é', '😀', ''),
);
const entries = fc
  .record({
    metric: words.filter((text) => text !== ''),
    rowTimeMs: fc.integer({ min: -(2 ** 53) + 1, max: 2 ** 53 - 1 }),
    rows: fc.array(
      fc.record({
        type: fc.constantFrom('kairos_long', 'kairos_legacy', 'my_type'),
        tags: fc.dictionary(words, words, { maxKeys: 6 }).map((record) => Object.entries(record)),
        ttlSeconds: fc.nat({ max: 630_000_000 }),
      }),
      { minLength: 1, maxLength: 130 },
    ),
  })
  .map(({ metric, rowTimeMs, rows }) =>
    rows.map(({ type, tags, ttlSeconds }) => ({
      row: { metric, rowTimeMs, type, tags },
      indexedTags: [],
      ttlSeconds,
    })),
  );

test.each([3, 4, 5])(
  'packed row keys are sent, and sent again, in the bytes that the driver writes of them, protocol %d',
  (version) => {
    installPackedRequests();
    fc.assert(
      fc.property(entries, (given) => {
        const params = new PackedRowKeys(given);
        expect(params.inserts).toBeGreaterThanOrEqual(given.length);
        const all = Array.from({ length: params.inserts }, (_, i) => {
          const { row, ttlSeconds } = given[Math.min(i, given.length - 1)] as (typeof given)[0];
          return [...rowKeyParams(row), ttlSeconds];
        });
        for (const queryId of [statement, Buffer.from('fedcba9876543210')]) {
          const frame = frameOf(version, params, queryId, anEntry);
          expect(frame.equals(frameOf(version, all.flat(), queryId, anEntry))).toBe(true);
        }
      }),
    );
  },
);

test('packed row keys may begin with one that is longer than all before', () => {
  installPackedRequests();
  const given = [90_000, 100_000].map((length) => ({
    row: { metric: 'm', rowTimeMs: 0, type: 'kairos_long', tags: [['a', 'x'.repeat(length)]] },
    indexedTags: [],
    ttlSeconds: 0,
  })) satisfies ConstructorParameters<typeof PackedRowKeys>[0];
  const all = given.flatMap(({ row, ttlSeconds }) => [...rowKeyParams(row), ttlSeconds]);
  const frame = frameOf(4, new PackedRowKeys(given), statement, anEntry);
  expect(frame.equals(frameOf(4, all, statement, anEntry))).toBe(true);
});
