import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readRowKeys, rowKeysOf } from './packed-row-keys.ts';
import { sortTags } from './tag-string.ts';
import type { RowKeyFilter } from './wide-rows.ts';

interface Row {
  readonly rowTimeMs: number;
  readonly type: string | null;
  /** In the order of Cassandra, which is that of bytes. */
  readonly tags: readonly (readonly [string, string])[];
}

function sized(bytes: Buffer | null): Buffer {
  const length = Buffer.alloc(4);
  length.writeInt32BE(bytes?.length ?? -1);
  return bytes === null ? length : Buffer.concat([length, bytes]);
}

function mapOf(tags: Row['tags']): Buffer | null {
  if (tags.length === 0) return null;
  const count = Buffer.alloc(4);
  count.writeInt32BE(tags.length);
  return Buffer.concat([count, ...tags.flat().map((text) => sized(Buffer.from(text)))]);
}

/** As Cassandra sends a result. */
function packed(rows: readonly Row[], hasTimes: boolean) {
  const parts = rows.flatMap(({ rowTimeMs, type, tags }) => {
    const time = Buffer.alloc(8);
    time.writeBigInt64BE(BigInt(rowTimeMs));
    const key = [sized(type === null ? null : Buffer.from(type)), sized(mapOf(tags))];
    return hasTimes ? [sized(time), ...key] : key;
  });
  return { bytes: Buffer.concat([...parts, Buffer.from('what comes behind')]), count: rows.length };
}

const word = fc.oneof(
  fc.constantFrom('host', 'dc', 'h', 'a', 'b', '\uff5e', '\u{1f600}', ''),
  fc.string({ unit: 'grapheme', maxLength: 12 }),
);
const row: fc.Arbitrary<Row> = fc.record({
  rowTimeMs: fc.constantFrom(-5, 0, 1_700_000_000_000),
  type: fc.constantFrom('kairos_long', 'kairos_double', 'é', null),
  tags: fc
    .uniqueArray(fc.tuple(word, word), { maxLength: 4, selector: ([name]) => name })
    .map((tags) => tags.sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))),
});
/** Time by time, as they are read. */
const rows = fc
  .array(row, { maxLength: 20 })
  .map((all) => all.sort((a, b) => a.rowTimeMs - b.rowTimeMs));

const keysOf = (all: readonly Row[]) =>
  all
    .filter(({ type }) => type !== null)
    .map(({ rowTimeMs, type, tags }) => ({ metric: 'm', rowTimeMs, type, tags: sortTags(tags) }));

test('row keys are read from the bytes of a result as from the driver’s rows', () => {
  fc.assert(
    fc.property(rows, fc.boolean(), (all, hasTimes) => {
      const given = hasTimes ? all : all.map((each) => ({ ...each, rowTimeMs: 7 }));
      const of = { metric: 'm', rowTimeMs: hasTimes ? undefined : 7, wanted: undefined };
      expect(readRowKeys(packed(given, hasTimes), of)).toEqual(keysOf(given));
      const driven = given.map(({ rowTimeMs, type, tags }) => ({
        packed_row_time: rowTimeMs,
        packed_type: type,
        packed_tags: tags.length === 0 ? null : new Map(tags),
      }));
      expect(rowKeysOf(driven as never, of)).toEqual(keysOf(given));
    }),
  );
});

test('those that are not wanted are left out, and counted among those of their row time', () => {
  fc.assert(
    fc.property(rows, fc.uniqueArray(word, { maxLength: 2 }), (all, names) => {
      const tests = names.map((name) => [name, (value: string) => value.length > 1] as const);
      const wanted: RowKeyFilter = { tests: new Map(tests), mostOfOneTime: 0 };
      const of = { metric: 'm', rowTimeMs: undefined, wanted };
      const passing = keysOf(all).filter(({ tags }) =>
        names.every((name) => (tags.find(([each]) => each === name)?.[1].length ?? 0) > 1),
      );
      expect(readRowKeys(packed(all, true), of)).toEqual(passing);
      const times = keysOf(all).map(({ rowTimeMs }) => rowTimeMs);
      const most = Math.max(
        0,
        ...times.map((time) => times.filter((each) => each === time).length),
      );
      expect(wanted.mostOfOneTime).toBe(most);
    }),
  );
});
