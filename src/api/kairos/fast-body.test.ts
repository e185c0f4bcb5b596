/** What the fast reader reads, the careful one reads alike; everything else it leaves alone. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { DataPoint } from '../../model/index.ts';
import { readDataPoints } from './data-points-body.ts';
import { FastBody } from './fast-body.ts';
import type { Draft } from './ingest.ts';

/** Keeps points as they come. */
class ListDraft implements Draft {
  points: DataPoint[] = [];
  get count(): number {
    return this.points.length;
  }
  series(metric: string, tags: Readonly<Record<string, string>>) {
    return { metric, tags };
  }
  ttl(_timestampMs: number, ttlSeconds: number): number {
    return ttlSeconds;
  }
  addLong(series: object, ttl: number, timestampMs: number, value: number): void {
    this.#add(series, ttl, timestampMs, BigInt(value));
  }
  addDouble(series: object, ttl: number, timestampMs: number, value: number): void {
    this.#add(series, ttl, timestampMs, value);
  }
  add(): undefined {}
  reset(): void {
    this.points = [];
  }
  #add(series: object, ttlSeconds: number, timestampMs: number, value: DataPoint['value']): void {
    const { metric, tags } = series as DataPoint;
    this.points.push({ metric, tags, timestampMs, value, ...(ttlSeconds > 0 && { ttlSeconds }) });
  }
}

const draft = new ListDraft();
const fast = new FastBody(draft);

function compare(body: string | Buffer): boolean {
  draft.reset();
  const bytes = Buffer.from(body);
  if (!fast.read(bytes)) {
    expect(draft.points).toEqual([]);
    return false;
  }
  const { points, errors, fault } = readDataPoints(bytes.toString());
  expect([errors, fault]).toEqual([[], undefined]);
  expect(draft.points).toEqual(points);
  return true;
}

it.each([
  '{"name":"m","timestamp":1,"value":2,"tags":{"a":"b"}}',
  '[{"datapoints":[[1,2],[ 3 , -4.50e1 ]],"tags":{"a":"b","c":"ü"},"name":"m é","ttl":60}]',
  '[{"name":"m","timestamp":1,"value":-0.0,"datapoints":[],"tags":{"a":"b"},"type":"double"}]',
  ' [ ] ',
  '[{"name":"m","tags":{"a":"b"}}]',
  '[{"name":"__proto__","timestamp":1,"value":2,"tags":{"__proto__":"b","10":"x","9":"y"}}]',
  '[{"name":"m","timestamp":999999999999999,"value":999999999999999,"tags":{"a":"b"}}]',
  '[{"name":"m","timestamp":1,"value":7,"tags":{"a":"b"},"type":"double"}]',
])('the usual is read fast and as the careful reader reads it: %s', (body) => {
  expect(compare(body)).toBe(true);
});

it.each([
  '',
  '{}',
  '[{"name":"m","timestamp":1,"value":2,"tags":{"a":"b"}},]',
  '{"name":"m","timestamp":1,"value":2,"tags":{"a":"b"}} x',
  '{"name":"m","name":"n","timestamp":1,"value":2,"tags":{"a":"b"}}',
  '{"name":"m","timestamp":1,"value":2,"tags":{"a":"b","a":"c"}}',
  '{"name":"m","timestamp":1,"value":2,"tags":{}}',
  '{"name":"m","timestamp":1,"value":2,"tags":{"a":""}}',
  '{"name":"m","timestamp":1.0,"value":2,"tags":{"a":"b"}}',
  '{"name":"m","timestamp":1,"value":1e5,"tags":{"a":"b"}}',
  '{"name":"m","timestamp":1,"value":-0,"tags":{"a":"b"}}',
  '{"name":"m","timestamp":1,"value":01,"tags":{"a":"b"}}',
  '{"name":"m","timestamp":1,"value":1.5,"tags":{"a":"b"},"type":"long"}',
  '{"name":"m","timestamp":1,"value":"2","tags":{"a":"b"}}',
  '{"name":"m","value":2,"tags":{"a":"b"}}',
  '{"name":"m","timestamp":1,"tags":{"a":"b"}}',
  '{"name":"m\\u0041","timestamp":1,"value":2,"tags":{"a":"b"}}',
  '{"name":"m","datapoints":[[1,2,"long"]],"tags":{"a":"b"}}',
  '{"name":"m","datapoints":[[1,2]] /* x */,"tags":{"a":"b"}}',
])('the unusual is left to the careful reader: %s', (body) => {
  expect(compare(body)).toBe(false);
});

it('bytes that are no UTF-8 are left alone', () => {
  const body = Buffer.from('{"name":"mX","timestamp":1,"value":2,"tags":{"a":"b"}}');
  body[body.indexOf('X')] = 0xff;
  expect(compare(body)).toBe(false);
});

const number = fc.oneof(
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.constantFrom('1.0', '-0', '1e3', '1.5E2', '00', '1.', '.5', '-', '12345678901234567890'),
);
const text = fc.oneof(fc.constantFrom('a', 'b', 'é', '', 'x"y', 'a\\b', '\u0001'), fc.string());
const metric = fc.record(
  {
    name: text,
    timestamp: number,
    value: fc.oneof(number, text),
    datapoints: fc.array(fc.tuple(number, number), { maxLength: 3 }),
    tags: fc.dictionary(text, text, { maxKeys: 3 }),
    ttl: fc.oneof(fc.integer({ min: -5, max: 500 }), fc.constant('"60"')),
    type: fc.constantFrom('long', 'double', 'string'),
    time: fc.integer(),
    skip_validate: fc.boolean(),
  },
  { requiredKeys: ['name', 'tags'], noNullPrototype: true },
);
/** Numbers given as text stand in the body as they are. */
const write = (json: unknown): string =>
  JSON.stringify(json).replace(/"(-?[\d.][\d.eE+-]*|-)"/g, (_all, digits: string) => digits);

it('no body makes the two differ, cut or damaged ones neither', { tags: 'heavy' }, () => {
  let read = 0;
  fc.assert(
    fc.property(
      fc.array(metric, { maxLength: 3 }),
      fc.nat(),
      fc.nat({ max: 255 }),
      fc.constantFrom('whole', 'cut', 'damaged'),
      (metrics, at, byte, how) => {
        const bytes = Buffer.from(write(metrics));
        if (how === 'damaged') bytes[at % bytes.length] = byte;
        const body = how === 'cut' ? bytes.subarray(0, at % (bytes.length + 1)) : bytes;
        if (compare(body)) read++;
      },
    ),
    { numRuns: 5_000 },
  );
  expect(read).toBeGreaterThan(100);
});
