import fc from 'fast-check';
import { describe, expect, expectTypeOf, test } from 'vitest';
import { recordBatchOf } from '../record-batch.ts';
import { accepts, type Fields, problemOf } from './fields.ts';
import { integer, number, recordCodec, text } from './index.ts';

const voteFields = {
  validator: text({ maxBytes: 44 }),
  voteAccount: text({ maxBytes: 44, pattern: /^[1-9A-HJ-NP-Za-km-z]*$/ }),
  network: text({
    maxBytes: 16,
    oneOf: ['mainnet', 'testnet', 'devnet'],
    rejectCode: 'UNKNOWN_NETWORK',
  }),
  votedSlot: integer({ min: 0 }),
  landedSlot: integer({ min: 0 }),
  timestamp: integer({ min: 0 }),
  slotMs: number({ min: 0, max: 60_000, optional: true }),
};

const votes = recordCodec({
  name: 'vote',
  timestamp: 'timestamp',
  fields: voteFields,
  check: ({ votedSlot, landedSlot }) =>
    landedSlot < votedSlot
      ? { code: 'LANDED_BEFORE_VOTED', message: `landedSlot ${landedSlot} < ${votedSlot}` }
      : undefined,
});

const vote = {
  validator: '123vij84ecQEKUvQ7gYMKxKwKF6PbYSzCzzURYA4xULY',
  voteAccount: '123JiW1rwJ4JM5BxYqFkBi6wQJ52pt6qUH88JDqrtU9i',
  network: 'testnet' as const,
  votedSlot: 356797318,
  landedSlot: 356797320,
  timestamp: 1757502201000,
};

const batchOf = (values: readonly (string | Buffer | null)[]) =>
  recordBatchOf(
    'votes',
    0,
    values.map((value, offset) => ({ key: null, value, offset, timestamp: 0 })),
  );

/** Rows, or codes of rejects, in order. */
function outcome(
  decoder: ReturnType<typeof votes.createDecoder>,
  values: readonly (string | Buffer | null)[],
): unknown[] {
  const decoded = decoder.decode(batchOf(values));
  const codes = new Map(decoded.rejects.map(({ row, code }) => [row, code]));
  const selected = decoded.selected ?? Int32Array.from(values.keys());
  const all: unknown[] = values.map((_, i) => codes.get(i) ?? 'neither decoded nor rejected');
  for (const i of selected) {
    all[i] = decoded.row(i);
    expect(decoded.timestamps[i]).toBe(decoded.row(i).timestamp);
  }
  for (const i of codes.keys()) expect(decoded.timestamps[i]).toBeNaN();
  return all;
}

/** A decoder that has learned the layout of `usual`. */
function trained(usual: string | Buffer): ReturnType<typeof votes.createDecoder> {
  const decoder = votes.createDecoder();
  decoder.decode(batchOf(new Array(300).fill(usual)));
  return decoder;
}

const decodeOne = (value: string | Buffer | null) => outcome(votes.createDecoder(), [value])[0];

/** What a value means: JSON.parse, then each field, then the rule across fields. */
function meaning(bytes: Buffer): unknown {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    return 'NOT_JSON';
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'FIELD_INVALID';
  const record = new Map(Object.entries(value));
  const row: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(voteFields as Fields)) {
    const cell = record.get(name);
    if (field.optional && (cell === undefined || cell === null)) continue;
    if (!accepts(field, cell)) return problemOf(name, field, cell).code;
    row[name] = cell;
  }
  if ((row.landedSlot as number) < (row.votedSlot as number)) return 'LANDED_BEFORE_VOTED';
  return row;
}

describe('what a record means', () => {
  test('a vote comes back as it went in, and its type is that of its fields', () => {
    const decoded = votes.createDecoder().decode(batchOf([votes.encode(vote)]));
    expect(decoded.row(0)).toEqual(vote);
    expect(decoded.selected).toBeUndefined();
    expect(decoded.rejects).toEqual([]);
    expectTypeOf(decoded.row(0)).toEqualTypeOf<{
      readonly validator: string;
      readonly voteAccount: string;
      readonly network: 'mainnet' | 'testnet' | 'devnet';
      readonly votedSlot: number;
      readonly landedSlot: number;
      readonly timestamp: number;
      readonly slotMs?: number;
    }>();
  });

  test('it is written in the order of the schema, without what the schema does not know', () => {
    const { network, ...rest } = vote;
    const bytes = votes.encode({ network, ...rest, slotMs: 400, extra: 1 } as typeof vote);
    expect(bytes.toString()).toBe(JSON.stringify({ ...vote, slotMs: 400 }));
  });

  const json = JSON.stringify(vote);
  test.each([
    ['keys in another order', JSON.stringify(Object.fromEntries(Object.entries(vote).reverse()))],
    ['spaces everywhere', JSON.stringify(vote, null, 2)],
    ['spaces around', ` \n${json}\r\t`],
    ['unknown plain fields', json.replace('{', '{"a":1,"b":"x","c":true,"d":null,"e":-1.5,')],
    ['an unknown nested field', json.replace('{', '{"a":{"votedSlot":[1,{"b":"}"}]},')],
    ['an unknown field named __proto__', json.replace('{', '{"__proto__":{"slotMs":1},')],
    ['a fraction that is whole', json.replace('356797318', '356797318.0')],
    ['an exponent', json.replace('356797318', '3.56797318e8')],
    ['an escape in a key', json.replace('validator', 'valid\\u0061tor')],
    ['an escape in a text', json.replace('testnet', 'test\\u006eet')],
    ['a key twice, the last of which counts', json.replace('{', '{"votedSlot":"x",')],
    ['null for an optional field', json.replace('}', ',"slotMs":null}')],
    ['an optional field given, then null', json.replace('}', ',"slotMs":1,"slotMs":null}')],
  ])('%s change nothing', (_, value) => {
    expect(decodeOne(value)).toEqual(vote);
    for (const decoder of [votes.createDecoder(), trained(json), trained(value)]) {
      const five = [json, json, value, json, value];
      expect(outcome(decoder, five)).toEqual(new Array(5).fill(vote));
    }
  });

  test.each([
    ['no value', null, 'NOT_JSON'],
    ['no bytes', '', 'NOT_JSON'],
    ['half a record', json.slice(0, 100), 'NOT_JSON'],
    ['a comma too many', json.replace('}', ',}'), 'NOT_JSON'],
    ['two records', json + json, 'NOT_JSON'],
    ['a leading zero', json.replace('356797318', '0356797318'), 'NOT_JSON'],
    ['a bare point', json.replace('356797318', '356797318.'), 'NOT_JSON'],
    ['a line feed within a text', json.replace('123vij', '123\nvij'), 'NOT_JSON'],
    ['a byte order mark', `\ufeff${json}`, 'NOT_JSON'],
    ['a null byte behind', `${json}\0`, 'NOT_JSON'],
    [
      'bytes that are no UTF-8',
      Buffer.from(json.replace('123vij', '\u00ff'), 'latin1'),
      'NOT_JSON',
    ],
    [
      'bad bytes in an unknown field',
      Buffer.from(json.replace('{', '{"x":"\u00e9",'), 'latin1'),
      'NOT_JSON',
    ],
    ['an array', `[${json}]`, 'FIELD_INVALID'],
    ['null', 'null', 'FIELD_INVALID'],
    ['a text', '"x"', 'FIELD_INVALID'],
    ['an empty object', '{}', 'FIELD_INVALID'],
    ['a missing field', json.replace('votedSlot', 'voted'), 'FIELD_INVALID'],
    ['null in a field that must be there', json.replace('356797318', 'null'), 'FIELD_INVALID'],
    ['text for a number', json.replace('356797318', '"356797318"'), 'FIELD_INVALID'],
    ['a number for text', json.replace(`"${vote.validator}"`, '1'), 'FIELD_INVALID'],
    ['a fraction for a whole number', json.replace('356797318', '1.5'), 'FIELD_INVALID'],
    ['a number below the least', json.replace('356797318', '-1'), 'FIELD_INVALID'],
    ['a number beyond 2^53', json.replace('356797318', '90071992547409930'), 'FIELD_INVALID'],
    ['a number above the most', json.replace('}', ',"slotMs":60001}'), 'FIELD_INVALID'],
    ['a text too long', json.replace('123vij', '123vijX'), 'FIELD_INVALID'],
    ['a text that is not of the pattern', json.replace('123JiW', '0OIl!!'), 'FIELD_INVALID'],
    ['half a surrogate pair', json.replace('123vij', '\\ud800'), 'FIELD_INVALID'],
    ['another network', json.replace('testnet', 'nonet'), 'UNKNOWN_NETWORK'],
    ['no network', json.replace('"network":"testnet",', ''), 'FIELD_INVALID'],
    ['landing before voting', json.replace('356797320', '356797317'), 'LANDED_BEFORE_VOTED'],
  ])('%s: rejected', (_, value, code) => {
    expect(decodeOne(value)).toBe(code);
    for (const decoder of [votes.createDecoder(), trained(json)]) {
      expect(outcome(decoder, [json, value, json])).toEqual([vote, code, vote]);
    }
  });

  test('zero, negatives, fractions and -0 are the doubles that JSON.parse gives', () => {
    const codec = recordCodec({
      name: 'reading',
      timestamp: 't',
      fields: { t: number(), v: number({ optional: true }) },
    });
    const literals = fc.oneof(
      fc.double({ noNaN: true, noDefaultInfinity: true }).map((x) => JSON.stringify(x)),
      fc.integer().map(String),
      fc
        .tuple(fc.constantFrom('', '-'), fc.nat(), fc.stringMatching(/^\d{1,12}$/))
        .map(([sign, whole, decimals]) => `${sign}${whole}.${decimals}`),
      fc.constantFrom(
        '0',
        '-0',
        '0.0',
        '123456789012345',
        '1234567890123456',
        '12345678901234567891',
        '0.12345678901234567891',
        '1e5',
        '9E-3',
      ),
    );
    fc.assert(
      fc.property(fc.array(literals, { minLength: 1 }), (numbers) => {
        const batch = batchOf(numbers.map((v, i) => `{"t":${i},"v":${v}}`));
        const { columns, rejects } = codec.createDecoder().decode(batch);
        expect(rejects).toEqual([]);
        expect(columns.v).toEqual(Float64Array.from(numbers, (v) => JSON.parse(v)));
      }),
    );
  });
});

describe('the fast parser and JSON.parse', () => {
  const texts = fc.oneof(
    fc.constantFrom(
      'validator-1',
      'validator-2',
      vote.validator,
      '',
      'a"b',
      'a\\b',
      'é',
      '😀',
      '\0',
    ),
    fc.string(),
    fc.string({ unit: 'grapheme' }),
  );
  const numbers = fc.oneof(
    fc.integer({ min: -5, max: 1_000 }),
    fc.nat({ max: 2 ** 31 - 1 }),
    fc.double(),
    fc.constantFrom(0, -0, 1e15, 2 ** 53, 2 ** 53 - 1, 1.5),
  );
  const anything = fc.oneof(texts, numbers, fc.jsonValue());
  const sane = fc.record({
    validator: fc.constantFrom('validator-1', 'validator-2', 'v', 'é', 'a"b'),
    voteAccount: fc.constantFrom('abc', vote.voteAccount, ''),
    network: fc.constantFrom('mainnet', 'testnet'),
    votedSlot: fc.nat(1_000),
    landedSlot: fc.nat({ max: 2 ** 31 - 1 }),
    timestamp: fc.nat({ max: 2 ** 31 - 1 }),
  });
  const extras = fc.record(
    {
      slotMs: fc.oneof(numbers, fc.constant(null)),
      extra: anything,
      network: anything,
      '': anything,
    },
    { requiredKeys: [] },
  );
  const record = fc
    .tuple(sane, extras, fc.boolean(), fc.constantFrom(undefined, 1, '\t'), fc.nat())
    .map(([base, more, reversed, space, cut]) => {
      const entries = Object.entries(cut % 4 ? base : { ...base, ...more });
      if (reversed) entries.reverse();
      return Buffer.from(JSON.stringify(Object.fromEntries(entries), null, space));
    });
  interface Mutation {
    readonly at: number;
    readonly remove: number;
    readonly insert: string;
    readonly latin1: boolean;
  }
  const mutation: fc.Arbitrary<Mutation> = fc.record({
    at: fc.nat(),
    remove: fc.nat(3),
    insert: fc.oneof(
      fc.constantFrom(
        '"',
        '\\',
        '{',
        '}',
        '[',
        ']',
        ',',
        ':',
        '0',
        '1',
        '-',
        '.',
        'e5',
        ' ',
        '\n',
        '\0',
        '\\u0041',
        'null',
        'true',
        '"a":1,',
        '"votedSlot":7,',
        '"slotMs":null,',
        '"slotMs":3,',
        '\u00e9',
      ),
      fc.constant(''),
    ),
    latin1: fc.boolean(),
  });
  const mutations = fc.array(mutation, { minLength: 1, maxLength: 3 });
  const mutate = (bytes: Buffer, all: readonly Mutation[]) =>
    all.reduce((now, { at, remove, insert, latin1 }) => {
      const place = at % (now.length + 1);
      return Buffer.concat([
        now.subarray(0, place),
        Buffer.from(insert, latin1 ? 'latin1' : 'utf8'),
        now.subarray(place + remove),
      ]);
    }, bytes);
  const mutated = fc.tuple(record, mutations).map(([bytes, all]) => mutate(bytes, all));
  const noise = fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes));

  const value = fc.oneof(
    { weight: 5, arbitrary: record },
    { weight: 4, arbitrary: mutated },
    { weight: 1, arbitrary: noise },
  );
  const batches = fc.array(fc.array(value, { maxLength: 8 }), { minLength: 1, maxLength: 4 });

  test('agree on every record, alone and among others', { tags: 'heavy' }, () => {
    fc.assert(
      fc.property(batches, (all) => {
        const decoder = votes.createDecoder();
        for (const values of all) expect(outcome(decoder, values)).toEqual(values.map(meaning));
      }),
      { numRuns: 1_000 },
    );
  });

  test('agree on every record once a layout is learned, also on those that are nearly of it', {
    tags: 'heavy',
  }, () => {
    fc.assert(
      fc.property(record, fc.array(mutations, { maxLength: 20 }), batches, (usual, nearly, all) => {
        const decoder = trained(usual);
        const close = nearly.map((each) => mutate(usual, each));
        for (const values of [close, ...all]) {
          const mixed = values.flatMap((bytes) => [usual, bytes]);
          expect(outcome(decoder, mixed)).toEqual(mixed.map(meaning));
        }
      }),
      { numRuns: 400 },
    );
  });

  test('agree, once a layout is learned, on records that lack any of its fields or have another value', () => {
    const others = ['1.5', '-1', '99999999999999999', '"x"', 'null', '{}', '1e3', '""'];
    const entries = Object.entries({ ...vote, slotMs: 400 });
    const decoder = trained(JSON.stringify(Object.fromEntries(entries)));
    for (let i = 0; i < entries.length; i++) {
      const [name, own] = entries[i] as [string, unknown];
      const first = Object.fromEntries(entries.slice(0, i));
      const without = Object.fromEntries(entries.filter((_, k) => k !== i));
      const json = JSON.stringify({ ...without, [name]: own });
      const value = JSON.stringify(own);
      const changed = others.map((other) =>
        JSON.stringify(Object.fromEntries(entries)).replace(
          `"${name}":${value}`,
          `"${name}":${other}`,
        ),
      );
      const values = [JSON.stringify(first), JSON.stringify(without), json, ...changed].map(
        (text) => Buffer.from(text),
      );
      expect(outcome(decoder, values)).toEqual(values.map(meaning));
    }
  });

  test('agree while the layout changes more often than a decoder learns', () => {
    const decoder = votes.createDecoder();
    for (let round = 0; round < 20; round++) {
      const entries = Object.entries({ ...vote, slotMs: round });
      entries.push(...entries.splice(0, round % entries.length));
      const bytes = Buffer.from(JSON.stringify(Object.fromEntries(entries), null, round % 3));
      const values = new Array<Buffer>(300).fill(bytes);
      expect(outcome(decoder, values)).toEqual(values.map(() => ({ ...vote, slotMs: round })));
    }
  });

  test('agree when a record is cut off anywhere, whatever follows it in memory', () => {
    const bytes = Buffer.from(JSON.stringify(vote));
    const decoder = votes.createDecoder();
    const whole = batchOf([bytes, bytes]);
    decoder.decode(batchOf(new Array<Buffer>(300).fill(bytes)));
    for (let end = 0; end < bytes.length; end++) {
      const { selected } = decoder.decode({
        ...whole,
        valueEnd: Int32Array.of(end, 2 * bytes.length),
      });
      expect(selected).toEqual(Int32Array.of(1));
    }
  });
});

describe('columns', () => {
  test('hold numbers as they are, texts as codes, and mark what is absent', () => {
    const decoder = votes.createDecoder();
    const other = { ...vote, validator: 'other', slotMs: 380.5 };
    const { columns } = decoder.decode(batchOf([vote, other, vote].map((v) => votes.encode(v))));
    expect(columns.votedSlot).toEqual(new Float64Array(3).fill(356797318));
    expect(columns.slotMs).toEqual(Float64Array.of(Number.NaN, 380.5, Number.NaN));
    const validators = columns.validator as Extract<
      (typeof columns)[string],
      { codes: Int32Array }
    >;
    expect(validators.codes).toEqual(Int32Array.of(0, 1, 0));
    expect(validators.dictionary.text(1)).toBe('other');
    expect(validators.dictionary.codeOf(vote.validator)).toBe(0);
    expect(validators.dictionary.codeOf('never seen')).toBe(-1);
  });

  test('absent optional texts are -1', () => {
    const codec = recordCodec({
      name: 'reading',
      timestamp: 't',
      fields: { t: integer(), host: text({ maxBytes: 9, optional: true }) },
    });
    const batch = batchOf(['{"t":1,"host":"a"}', '{"t":2}', '{"t":3,"host":null}']);
    const decoded = codec.createDecoder().decode(batch);
    expect(decoded.columns.host).toMatchObject({ codes: Int32Array.of(0, -1, -1) });
    expect([0, 1, 2].map((i) => decoded.row(i))).toEqual([{ t: 1, host: 'a' }, { t: 2 }, { t: 3 }]);
  });

  test('keep their values when later batches are decoded', () => {
    const decoder = votes.createDecoder();
    const first = decoder.decode(batchOf([votes.encode(vote)]));
    decoder.decode(batchOf([votes.encode({ ...vote, validator: 'x', votedSlot: 1 })]));
    expect(first.row(0)).toEqual(vote);
  });

  test('a dictionary past its bound is followed by a new one, between batches only', () => {
    for (const bound of [{ dictionaryEntriesMax: 2 }, { dictionaryBytesMax: 250 }]) {
      const codec = recordCodec({
        name: 'reading',
        timestamp: 't',
        fields: { t: integer(), host: text({ maxBytes: 99 }) },
        ...bound,
      });
      const decoder = codec.createDecoder();
      const hosts = ['a', 'b', 'é', 'd', 'e', 'f'];
      const decode = () => {
        const decoded = decoder.decode(batchOf(hosts.map((host, t) => codec.encode({ t, host }))));
        expect(hosts.map((_, i) => decoded.row(i).host)).toEqual(hosts);
        const { host } = decoded.columns;
        return (host as { dictionary: object }).dictionary;
      };
      expect(decode()).not.toBe(decode());
    }
  });
});

describe('messages', () => {
  const messageFor = (value: string | null) =>
    votes.createDecoder().decode(batchOf([value])).rejects[0]?.message;

  test('say what, where and what was expected, and cut long values short', () => {
    const json = JSON.stringify(vote);
    expect(messageFor(json.replace('356797318', '"x"'))).toBe(
      'votedSlot: expected a whole number from 0 to 9007199254740991, got "x"',
    );
    expect(messageFor(json.replace('testnet', 'nonet'))).toBe(
      'network: expected one of mainnet, testnet, devnet, got "nonet"',
    );
    expect(messageFor('{}')).toBe('validator: missing; expected text of at most 44 bytes');
    expect(messageFor('[1]')).toMatch(/^expected a JSON object with validator, .*; got \[1\]$/);
    expect(messageFor(null)).toMatch(/^the record has no value/);
    const long = messageFor(json.replace('123vij', 'z'.repeat(5_000))) as string;
    expect(long).toMatch(/^validator: expected .*, got "z{79}…$/);
    expect((messageFor('{"a":'.repeat(9_000)) as string).length).toBeLessThan(400);
  });
});

test.each([
  ['a timestamp that is text', { t: text({ maxBytes: 1 }) }],
  ['a timestamp that may be absent', { t: integer({ optional: true }) }],
  ['no timestamp', {}],
  ['a field named __proto__', { t: integer(), ['__proto__']: integer() }],
  [
    'more than 31 fields',
    Object.fromEntries(['t', ...Array(31).keys()].map((k) => [`${k}`, integer()])),
  ],
])('a schema with %s is refused', (_, fields) => {
  expect(() =>
    recordCodec({ name: 'x', timestamp: 't' as never, fields: fields as Fields }),
  ).toThrow(expect.objectContaining({ code: 'CODEC_INVALID' }));
});

test('names that would be code, were they pasted into it, are only names', () => {
  const name = "']; throw new Error('pasted'); //\n";
  const codec = recordCodec({
    name: 'x',
    timestamp: 't',
    fields: { t: integer(), [name]: integer() },
  });
  const rows = Array.from({ length: 600 }, (_, t) => Buffer.from(JSON.stringify({ t, [name]: t })));
  const decoder = codec.createDecoder();
  for (let round = 0; round < 2; round++) {
    const { columns, rejects } = decoder.decode(batchOf(rows));
    expect(rejects).toEqual([]);
    expect(columns[name]).toEqual(Float64Array.from(rows.keys()));
  }
});

test('a pattern with a memory judges each text alike', () => {
  const codec = recordCodec({
    name: 'x',
    timestamp: 't',
    fields: { t: integer(), v: text({ maxBytes: 9, pattern: /^a/g }) },
  });
  const rows = ['ab', 'ac', 'ad', 'ae'].map((v, t) => codec.encode({ t, v }));
  expect(codec.createDecoder().decode(batchOf(rows)).rejects).toEqual([]);
});
