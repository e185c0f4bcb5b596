import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Point } from '../../model/index.ts';
import { encodeLine } from './codec.ts';
import { isolate, type Known } from './isolate.ts';
import type { Line } from './suspects.ts';
import type { Verdict } from './verdict.ts';

const SHARD_NS = 3_600_000_000_000n;
const BOUND = '2026-11-20T00:00:00Z';
const BOUND_NS = BigInt(Date.parse(BOUND)) * 1_000_000n;

const line = (index: number, point: Partial<Point>): Line => {
  const whole = {
    measurement: 'm',
    tags: {},
    fields: { v: 1n },
    timestampNs: BOUND_NS + BigInt(index),
    ...point,
  };
  return { index, text: encodeLine(whole), point: whole };
};

/**
 * Judges as InfluxDB 2.7.12 was seen to: a malformed line refuses all; else conflicts and old points are
 * dropped, but only one shard's conflicts, or only the old ones, are counted and named.
 */
function server() {
  const stored = new Set<number>();
  let requests = 0;
  const send = async (group: readonly Line[]): Promise<Verdict> => {
    requests++;
    const malformed = group.filter(({ point }) => point.tags.bad === 'line');
    if (malformed.length > 0) {
      const message = malformed.map(({ text }) => `unable to parse '${text}': bad`).join('\n');
      return { kind: 'malformed', message };
    }
    const old = group.filter(({ point }) => point.timestampNs < BOUND_NS);
    const shards = new Map<bigint, number>();
    for (const { index, point } of group) {
      if (point.timestampNs < BOUND_NS) continue;
      if (typeof point.fields.v === 'bigint') stored.add(index);
      else {
        const shard = point.timestampNs / SHARD_NS;
        shards.set(shard, (shards.get(shard) ?? 0) + 1);
      }
    }
    const [conflicts] = shards.values();
    if (conflicts) {
      return {
        kind: 'partial',
        code: 'FIELD_TYPE_CONFLICT',
        dropped: conflicts,
        message: `partial write: field type conflict: input field "v" on measurement "m" is type float, already exists as type integer dropped=${conflicts}`,
      };
    }
    if (old.length > 0) {
      return {
        kind: 'partial',
        code: 'OUTSIDE_RETENTION',
        dropped: old.length,
        message: `partial write: dropped ${old.length} points outside retention policy of duration 24h0m0s - oldest point m dropped because it violates a Retention Policy Lower Bound at ${BOUND} dropped=${old.length}`,
      };
    }
    return { kind: 'stored' };
  };
  return { send, stored, requests: () => requests };
}

async function run(lines: readonly Line[], known: Known = new Map()) {
  const database = server();
  await isolate(lines, database.send, known);
  const rejected = [...known].flatMap(([index, fate]) => (fate === 'stored' ? [] : [index]));
  return { ...database, known, rejected: rejected.sort((a, b) => a - b) };
}

test('exactly the bad points are found, whatever is wrong with which of them', async () => {
  const kind = fc.constantFrom('good', 'good', 'good', 'line', 'type', 'old', 'old type');
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ kind, shard: fc.bigInt({ min: 0n, max: 3n }) }), { maxLength: 60 }),
      async (wanted) => {
        const lines = wanted.map(({ kind, shard }, at) =>
          line(at, {
            tags: kind === 'line' ? { bad: 'line' } : {},
            fields: { v: kind.includes('type') ? 1.5 : 1n },
            timestampNs: kind.startsWith('old')
              ? BOUND_NS - BigInt(at + 1)
              : BOUND_NS + shard * SHARD_NS + BigInt(at),
          }),
        );
        const { rejected, stored, requests } = await run(lines);
        const bad = wanted.flatMap(({ kind }, at) => (kind === 'good' ? [] : [at]));
        expect(rejected).toEqual(bad);
        expect([...stored].sort((a, b) => a - b)).toEqual(
          wanted.flatMap(({ kind }, at) => (kind === 'good' ? [at] : [])),
        );
        expect(requests()).toBeLessThanOrEqual(Math.max(0, 2 * lines.length - 1));
      },
    ),
  );
});

test('5,000 points too old cost one request, and a mixture with new ones three', async () => {
  const old = Array.from({ length: 5_000 }, (_, at) =>
    line(at, { timestampNs: BOUND_NS - BigInt(at + 1) }),
  );
  const all = await run(old);
  expect(all.rejected).toHaveLength(5_000);
  expect(all.requests()).toBe(1);
  expect(all.known.get(7)).toMatchObject({ index: 7, code: 'OUTSIDE_RETENTION' });

  const half = await run([
    ...old.slice(0, 2_500),
    ...Array.from({ length: 2_500 }, (_, at) => line(2_500 + at, {})),
  ]);
  expect(half.rejected).toHaveLength(2_500);
  expect(half.requests()).toBe(3);
});

test('every second of 5,000 points with the wrong type costs three requests in one shard', async () => {
  const { rejected, requests } = await run(
    Array.from({ length: 5_000 }, (_, at) => line(at, { fields: { v: at % 2 ? 1.5 : 1n } })),
  );
  expect(rejected).toHaveLength(2_500);
  expect(requests()).toBe(3);
});

test('one malformed line among 5,000 is named by the server and costs three requests', async () => {
  const { rejected, requests } = await run(
    Array.from({ length: 5_000 }, (_, at) =>
      line(at, at === 4_321 ? { tags: { bad: 'line' } } : {}),
    ),
  );
  expect(rejected).toEqual([4_321]);
  expect(requests()).toBe(3);
});

test('a refusal that names nobody is halved until the point is alone', async () => {
  const known: Known = new Map();
  let requests = 0;
  await isolate(
    Array.from({ length: 64 }, (_, at) => line(at, {})),
    async (group) => {
      requests++;
      return group.some(({ index }) => index === 40)
        ? { kind: 'malformed', message: 'a line is wrong' }
        : { kind: 'stored' };
    },
    known,
  );
  expect(known.get(40)).toMatchObject({ code: 'LINE_REFUSED', message: 'a line is wrong' });
  expect([...known.values()].filter((fate) => fate === 'stored')).toHaveLength(63);
  expect(requests).toBe(13);
});

test('what is too large for one request is sent in halves, and a point too large alone is rejected', async () => {
  const known: Known = new Map();
  await isolate(
    [line(0, {}), line(1, { tags: { t: 'x'.repeat(200) } }), line(2, {})],
    async (group) =>
      group.reduce((sum, { text }) => sum + text.length, 0) > 100
        ? { kind: 'too-large', message: 'request entity too large' }
        : { kind: 'stored' },
    known,
  );
  expect(known.get(1)).toMatchObject({ index: 1, code: 'POINT_TOO_LARGE' });
  expect([known.get(0), known.get(2)]).toEqual(['stored', 'stored']);
});

test('a search that broke off goes on where it was', async () => {
  const lines = Array.from({ length: 100 }, (_, at) =>
    line(at, { fields: { v: at === 3 || at === 70 ? 1.5 : 1n } }),
  );
  const known: Known = new Map();
  const database = server();
  let left = 2;
  const flaky = async (group: readonly Line[]) => {
    if (left-- === 0) throw new Error('cut');
    return database.send(group);
  };
  await expect(isolate(lines, flaky, known)).rejects.toThrow('cut');
  expect(known.size).toBe(98);
  left = 1_000;
  await isolate(lines, flaky, known);
  expect(database.requests()).toBe(3);
  expect([known.get(3), known.get(70)]).toMatchObject([{ index: 3 }, { index: 70 }]);
});

test('a long message is cut', async () => {
  const known: Known = new Map();
  await isolate(
    [line(0, {})],
    async () => ({ kind: 'malformed', message: 'x'.repeat(9_000) }),
    known,
  );
  expect((known.get(0) as { message: string }).message).toHaveLength(500);
});
