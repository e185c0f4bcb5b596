import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { mulberry32 } from '../../test/support/mulberry32.ts';
import { FatalError } from '../model/index.ts';
import { quantileOfSorted } from './quantile.ts';
import { TDigest } from './t-digest.ts';

const golden = (name: string) =>
  readFileSync(new URL(`../../test/golden/quantiles/${name}`, import.meta.url));

/** npm `tdigest`, the oracle. */
interface OtherDigest {
  push(x: number | readonly number[]): void;
  compress(): void;
  percentile(q: number): number;
}
const { TDigest: OtherDigest } = createRequire(import.meta.url)('tdigest') as {
  TDigest: new () => OtherDigest;
};

const QS = [0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999];

function digestOf(values: Iterable<number>, compression?: number): TDigest {
  const digest = new TDigest(compression);
  for (const x of values) digest.add(x);
  return digest;
}

const sorted = (values: Iterable<number>) => Float64Array.from(values).sort();

/** How far the share of values at `x` is from `q`; 0 when `x` is, or lies between, the values of that rank. */
function rankError(ascending: Float64Array, x: number, q: number): number {
  let below = 0;
  while (below < ascending.length && (ascending[below] as number) < x) below++;
  let upTo = below;
  while (upTo < ascending.length && (ascending[upTo] as number) === x) upTo++;
  const n = ascending.length;
  return Math.max(0, (below - 0.5) / n - q, q - (upTo + 0.5) / n);
}

const SHAPES: Record<string, (u: () => number) => number> = {
  uniform: (u) => u(),
  exponential: (u) => -Math.log(1 - u()),
  'two far humps': (u) => (u() < 0.6 ? u() : 1e6 + u()),
  'heavy tail': (u) => 1 / (1 - u()) ** 2,
  'many ties and a tail': (u) => (u() < 0.8 ? 1 : Math.floor(u() * 5_000)),
  'negative and positive': (u) => (u() - 0.5) ** 3,
};

const series = (shape: string, n: number, seed = 1) => {
  const u = mulberry32(seed);
  return Float64Array.from({ length: n }, () => (SHAPES[shape] as (u: () => number) => number)(u));
};

/** Numbers with many repeats, few repeats, whole and not. */
const anyValues = fc.oneof(
  fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 600 }),
  fc.array(fc.integer({ min: -1_000, max: 1_000 }), { maxLength: 1_500 }),
  fc.array(fc.double({ noNaN: true, noDefaultInfinity: true }), { maxLength: 900 }),
  fc
    .tuple(
      fc.integer(),
      fc.integer({ min: 0, max: 6_000 }),
      fc.constantFrom(...Object.keys(SHAPES)),
    )
    .map(([seed, n, shape]) => Array.from(series(shape, n, seed))),
);

describe('accuracy', () => {
  test('an empty digest has no quantiles, no extremes and no shares', () => {
    const digest = new TDigest();
    expect(digest.count).toBe(0);
    for (const x of [digest.min, digest.max, digest.quantile(0.5), digest.cdf(1)]) {
      expect(x).toBeNaN();
    }
  });

  test('up to 200 distinct values every quantile and every share is exact', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 199 }), { minLength: 1, maxLength: 3_000 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.integer({ min: -1, max: 200 }),
        (values, q, x) => {
          const digest = digestOf(values);
          const ascending = sorted(values);
          expect(digest.quantile(q)).toBe(quantileOfSorted(ascending, q));
          const below = values.filter((v) => v < x).length;
          const equal = values.filter((v) => v === x).length;
          expect(digest.cdf(x)).toBe((below + equal / 2) / values.length);
        },
      ),
    );
  });

  test.each(Object.keys(SHAPES))('of %s values the rank error stays below 0.01', (shape) => {
    for (const n of [300, 5_000, 200_000]) {
      const values = series(shape, n);
      const digest = digestOf(values);
      const ascending = sorted(values);
      for (const q of [0.5, 0.95, 0.99]) {
        expect(rankError(ascending, digest.quantile(q), q)).toBeLessThan(0.01);
      }
      expect(rankError(ascending, digest.quantile(0.999), 0.999)).toBeLessThan(0.001);
      expect(digest.quantile(0)).toBe(ascending[0]);
      expect(digest.quantile(1)).toBe(ascending.at(-1));
      expect(digest.min).toBe(ascending[0]);
      expect(digest.max).toBe(ascending.at(-1));
      expect(digest.count).toBe(n);
    }
  });

  test.each(Object.keys(SHAPES))('of %s values npm tdigest says the same within 0.01', (shape) => {
    const values = series(shape, 20_000, 3);
    const ours = digestOf(values);
    const theirs = new OtherDigest();
    theirs.push(Array.from(values));
    theirs.compress();
    for (const q of QS) {
      const [low, high] = [ours.quantile(q), theirs.percentile(q)].sort((a, b) => a - b);
      const between = values.filter((x) => x > (low as number) && x < (high as number));
      expect(between.length / values.length).toBeLessThan(0.01);
    }
  });

  test('values that come in ascending or descending order are no harder', () => {
    const ascending = sorted(series('exponential', 100_000));
    for (const values of [ascending, ascending.slice().reverse()]) {
      const digest = digestOf(values);
      for (const q of QS) {
        expect(rankError(ascending, digest.quantile(q), q)).toBeLessThan(0.005);
      }
    }
  });

  test('a million values fit into a few kilobytes', { tags: 'heavy' }, () => {
    expect(digestOf(series('heavy tail', 1_000_000)).toBytes().length).toBeLessThan(4_200);
  });

  test('quantiles never fall as q rises, and shares never fall as x rises', {
    tags: 'heavy',
  }, () => {
    fc.assert(
      fc.property(anyValues, (values) => {
        fc.pre(values.length > 0);
        const digest = digestOf(values);
        const qs = Array.from({ length: 101 }, (_, i) => i / 100);
        const quantiles = digest.quantiles(qs);
        const shares = quantiles.map((x) => digest.cdf(x));
        for (let i = 1; i < qs.length; i++) {
          expect(quantiles[i]).toBeGreaterThanOrEqual(quantiles[i - 1] as number);
          expect(shares[i]).toBeGreaterThanOrEqual(shares[i - 1] as number);
        }
      }),
    );
  });

  const [head, ...rows] = golden('reference_quantiles.csv').toString().trim().split('\n');
  const qs = (head as string)
    .split(',')
    .slice(4)
    .map((name) => Number(name.slice(1)));
  const references = rows.map((row) => {
    const [name, method, , , ...values] = row.split(',');
    return { name: name as string, method: method as string, values: values.map(Number) };
  });
  const exact = references.filter(({ method }) => method === 'exact_hazen');

  test.each(exact)(
    '$name: near the exact quantiles, no worse than the Java digest',
    (reference) => {
      const values = goldenSeries(reference.name);
      const ascending = sorted(values);
      const digest = digestOf(values);
      const java = references.find(
        ({ name, method }) => name === reference.name && method === 'merging_compression_100',
      );
      expect(ascending.length).toBeGreaterThan(4_000);
      for (const [i, q] of qs.entries()) {
        expect(quantileOfSorted(ascending, q)).toBeCloseTo(reference.values[i] as number, 9);
        const error = rankError(ascending, digest.quantile(q), q);
        expect(error).toBeLessThan(0.01);
        const javaError = rankError(ascending, java?.values[i] as number, q);
        expect(error).toBeLessThanOrEqual(javaError + 0.002);
      }
    },
  );

  test('of real vote latencies it gives the exact quantiles', () => {
    const reference = exact.find(({ name }) => name === 'testnet-356797362-latency');
    expect(digestOf(goldenSeries('testnet-356797362-latency')).quantiles(qs)).toEqual(
      reference?.values,
    );
  });
});

function goldenSeries(name: string): number[] {
  if (name !== 'testnet-356797362-latency') {
    return gunzipSync(golden(`${name}.txt.gz`))
      .toString()
      .split('\n')
      .map(Number);
  }
  const lines = golden(`${name}.counts.csv`).toString().trim().split('\n').slice(1);
  return lines.flatMap((line) => {
    const [latency, votes] = line.split(',').map(Number) as [number, number];
    return new Array<number>(votes).fill(latency);
  });
}

describe('merging', () => {
  test('parts merged err no more than 0.01, however the values were parted', {
    tags: 'heavy',
  }, () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...Object.keys(SHAPES)),
        fc.integer(),
        fc.integer({ min: 1, max: 40 }),
        (shape, seed, parts) => {
          const values = series(shape, 8_000, seed);
          const merged = new TDigest();
          for (let p = 0; p < parts; p++) {
            merged.merge(digestOf(values.filter((_, i) => i % parts === p)));
          }
          expect(merged.count).toBe(values.length);
          const ascending = sorted(values);
          for (const q of [0.5, 0.95, 0.99]) {
            expect(rankError(ascending, merged.quantile(q), q)).toBeLessThan(0.01);
          }
          expect([merged.min, merged.max]).toEqual([ascending[0], ascending.at(-1)]);
        },
      ),
      { numRuns: 60 },
    );
  });

  test('two thousand small digests merged are as good as one that saw all', () => {
    const values = series('exponential', 200_000);
    const merged = new TDigest();
    for (let i = 0; i < values.length; i += 100)
      merged.merge(digestOf(values.subarray(i, i + 100)));
    const ascending = sorted(values);
    for (const q of QS) {
      expect(rankError(ascending, merged.quantile(q), q)).toBeLessThan(0.005);
    }
  });

  test('few distinct values merge without loss, in either order', () => {
    const few = fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 500 });
    fc.assert(
      fc.property(few, few, (a, b) => {
        const ab = digestOf(a);
        ab.merge(digestOf(b));
        const ba = digestOf(b);
        ba.merge(digestOf(a));
        expect(ab.toBytes()).toEqual(digestOf([...a, ...b]).toBytes());
        expect(ba.toBytes()).toEqual(ab.toBytes());
      }),
    );
  });

  test('merging leaves the other as it was and gives the same bytes every time', () => {
    fc.assert(
      fc.property(anyValues, anyValues, (a, b) => {
        const other = digestOf(b);
        const before = other.toBytes();
        const once = digestOf(a);
        once.merge(other);
        const again = digestOf(a);
        again.merge(TDigest.fromBytes(before));
        expect(other.toBytes()).toEqual(before);
        expect(again.toBytes()).toEqual(once.toBytes());
        expect(once.count).toBe(a.length + b.length);
      }),
    );
  });

  test('a digest merged into itself counts everything twice', () => {
    for (const values of [[1, 2, 2], Array.from(series('uniform', 777))]) {
      const digest = digestOf(values);
      const median = digest.quantile(0.5);
      digest.merge(digest);
      expect(digest.count).toBe(2 * values.length);
      expect(Math.abs(digest.quantile(0.5) - median)).toBeLessThan(0.01);
    }
  });

  test('a weight is that many adds', () => {
    const weighted = new TDigest();
    weighted.add(3, 4);
    weighted.add(1);
    weighted.add(3, 2);
    expect(weighted.toBytes()).toEqual(digestOf([3, 3, 3, 3, 1, 3, 3]).toBytes());

    const values = Array.from(series('exponential', 2_000));
    const heavy = new TDigest();
    for (const x of values) heavy.add(x, 3);
    expect(heavy.count).toBe(6_000);
    const ascending = sorted(values);
    for (const q of QS) expect(rankError(ascending, heavy.quantile(q), q)).toBeLessThan(0.01);
  });
});

describe('determinism', () => {
  test('no read changes a byte', () => {
    fc.assert(
      fc.property(anyValues, fc.double({ noNaN: true }), (values, x) => {
        const digest = digestOf(values);
        const before = digest.toBytes();
        void [digest.min, digest.max, digest.count, digest.cdf(x), digest.clone()];
        digest.quantiles(QS);
        digest.quantile(0.5);
        expect(digest.toBytes()).toEqual(before);
      }),
    );
  });

  test('reading, storing and restoring in between leaves no trace in what follows', () => {
    fc.assert(
      fc.property(anyValues, fc.array(fc.nat(1_500), { maxLength: 8 }), (values, stops) => {
        const undisturbed = digestOf(values);
        let disturbed = new TDigest();
        for (const [i, x] of values.entries()) {
          if (stops.includes(i)) {
            disturbed.quantile(0.9);
            disturbed = i % 2 ? disturbed.clone() : TDigest.fromBytes(disturbed.toBytes());
          }
          disturbed.add(x);
        }
        expect(disturbed.toBytes()).toEqual(undisturbed.toBytes());
      }),
    );
  });

  test('repeats after the cells are full are found, or not, alike before and after a restore', {
    tags: 'heavy',
  }, () => {
    const u = mulberry32(5);
    for (const shape of Object.keys(SHAPES)) {
      const values = Array.from(series(shape, 3_000), (x) => (u() < 0.3 ? 0.25 : x));
      const undisturbed = digestOf(values);
      let disturbed = new TDigest();
      for (const x of values) {
        disturbed = TDigest.fromBytes(disturbed.toBytes());
        disturbed.add(x);
      }
      expect(disturbed.toBytes()).toEqual(undisturbed.toBytes());
    }
  });

  test('a clone and its original go separate ways', () => {
    for (const n of [3, 1_000]) {
      const digest = digestOf(series('uniform', n));
      const before = digest.toBytes();
      const clone = digest.clone();
      clone.add(0.5);
      clone.add(7);
      expect(digest.toBytes()).toEqual(before);
      expect(clone.count).toBe(n + 2);
    }
  });

  test('a cleared digest is as good as new', () => {
    const digest = digestOf(series('uniform', 1_000));
    digest.clear();
    expect(digest.toBytes()).toEqual(new TDigest().toBytes());
    digest.add(4);
    expect([digest.min, digest.quantile(0.5), digest.count]).toEqual([4, 4, 1]);
  });

  test('zero and minus zero are one value', () => {
    expect(digestOf([-0, 0]).toBytes()).toEqual(digestOf([0, -0]).toBytes());
  });
});

describe('bytes', () => {
  test.each([
    { values: [1, 1, 1, 2, 71], hex: '010064 03 0c02 0402 048a01 00' },
    { values: [], hex: '010064 00 00' },
    { values: [0.5], hex: '010064 01 06000000000000e03f 00' },
    { values: [-3, -3, 1.25, 100], hex: '010064 03 0805 06000000000000f43f 04ce01 00' },
  ])('$values is written as $hex', ({ values, hex }) => {
    const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex');
    expect(digestOf(values).toBytes().toString('hex')).toBe(bytes.toString('hex'));
    expect(TDigest.fromBytes(bytes).toBytes()).toEqual(bytes);
  });

  test('the latencies of one validator in a window take under 40 bytes', () => {
    const digest = new TDigest();
    for (const [latency, votes] of [
      [1, 620],
      [2, 110],
      [3, 12],
      [4, 3],
      [9, 1],
    ] as const) {
      digest.add(latency, votes);
    }
    expect(digest.toBytes().length).toBeLessThan(40);
  });

  test('decoding undoes encoding', () => {
    fc.assert(
      fc.property(anyValues, (values) => {
        const digest = digestOf(values);
        const restored = TDigest.fromBytes(digest.toBytes());
        expect(restored.toBytes()).toEqual(digest.toBytes());
        expect(restored.count).toBe(digest.count);
        expect(restored.quantiles(QS)).toEqual(digest.quantiles(QS));
      }),
    );
  });

  test('large counts survive', () => {
    const digest = new TDigest();
    digest.add(1, 2 ** 52);
    digest.add(2 ** 50, 2 ** 51 + 1);
    digest.add(-(2 ** 60));
    const restored = TDigest.fromBytes(digest.toBytes());
    expect(restored.count).toBe(2 ** 52 + 2 ** 51 + 2);
    expect(restored.min).toBe(-(2 ** 60));
    expect(restored.max).toBe(2 ** 50);
  });

  test.each([
    ['nothing', ''],
    ['another version', '020064 00 00'],
    ['unknown flags', '010464 00 00'],
    ['no compression', '010000 00 00'],
    ['fewer cells than announced', '010064 02 0402'],
    ['an empty cell', '010064 01 0002 00'],
    ['cells that descend', '010064 02 0404 0401 00'],
    ['the same value twice', '010064 02 0402 0400 00'],
    ['a blend at the end', '010064 01 0902 00'],
    ['a mean that is no number', '010064 01 06000000000000f87f 00'],
    ['pending values without need', '010064 00 01 02'],
    ['more behind the end', '010064 00 00 00'],
    ['an endless number', '0100 ffffffffffffffffff 00'],
    ['a count beyond 2^53', '010064 02 fcffffffffffff7f02 fcffffffffffff7f02 00'],
  ])('%s is DIGEST_CORRUPT', (_, hex) => {
    const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex');
    expect(() => TDigest.fromBytes(bytes)).toThrow(
      expect.objectContaining({ code: 'DIGEST_CORRUPT' }),
    );
  });

  test('whatever bytes come, they are a usable digest or DIGEST_CORRUPT', { tags: 'heavy' }, () => {
    const mutated = fc
      .tuple(anyValues, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 3 }))
      .map(([values, changes]) => {
        const bytes = digestOf(values).toBytes();
        for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
        return bytes;
      });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 40 }), mutated), (bytes) => {
        let digest: TDigest;
        try {
          digest = TDigest.fromBytes(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(FatalError);
          expect((error as FatalError).code).toBe('DIGEST_CORRUPT');
          return;
        }
        digest.add(1);
        expect(digest.quantile(0.5)).not.toBeNaN();
      }),
      { numRuns: 2_000 },
    );
  });
});

test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
  '%s is refused and leaves the digest as it was',
  (x) => {
    const digest = digestOf([1, 2]);
    const before = digest.toBytes();
    expect(() => digest.add(x)).toThrow(expect.objectContaining({ code: 'DIGEST_VALUE_INVALID' }));
    expect(digest.toBytes()).toEqual(before);
  },
);

test.each([0, -1, 0.5, Number.NaN, 2 ** 53])('weight %s is refused', (weight) => {
  const digest = digestOf([1]);
  expect(() => digest.add(1, weight)).toThrow(
    expect.objectContaining({ code: 'DIGEST_VALUE_INVALID' }),
  );
  expect(digest.count).toBe(1);
});

test.each([0, 9, 10_001, 1.5, Number.NaN])('compression %s is refused', (compression) => {
  expect(() => new TDigest(compression)).toThrow(
    expect.objectContaining({ code: 'DIGEST_COMPRESSION_INVALID' }),
  );
});

test.each([-0.1, 1.1, Number.NaN])('quantile %s is refused', (q) => {
  expect(() => digestOf([1]).quantile(q)).toThrow(
    expect.objectContaining({ code: 'QUANTILE_INVALID' }),
  );
});

test('a higher compression loses nothing of more distinct values', () => {
  const values = Array.from({ length: 1_000 }, (_, i) => (i * 7_919) % 1_000);
  const digest = digestOf(values, 500);
  expect(digest.quantiles(QS)).toEqual(QS.map((q) => quantileOfSorted(sorted(values), q)));
});
