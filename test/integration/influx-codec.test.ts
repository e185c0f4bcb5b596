/** What the codec writes, the real server reads back as it was. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { encodeLine, InfluxSink } from '../../src/databases/influx/index.ts';
import type { FieldValue, Point } from '../../src/model/index.ts';
import { INFLUX_NAMES, influxFromEnvironment, withBucket } from '../support/influx.ts';
import { needs } from '../support/require.ts';

describe.skipIf(!needs(INFLUX_NAMES))('line protocol on a real InfluxDB', () => {
  const config = influxFromEnvironment;

  test('every golden line is stored with the names and values it spells', async () => {
    const { lines } = JSON.parse(
      readFileSync(new URL('../golden/influx/lines.json', import.meta.url), 'utf8'),
    ) as { lines: { what: string; line: string; point: Point }[] };
    await withBucket(config(), { what: 'golden' }, async (bucket) => {
      for (const { line, what, point } of lines) {
        const expected = spelled(line);
        const { url, org, token } = config();
        const query = new URLSearchParams({ org, bucket, precision: 'ns' });
        const reply = await fetch(`${url}/api/v2/write?${query}`, {
          method: 'POST',
          headers: { authorization: `Token ${token}` },
          body: line,
        });
        expect(`${reply.status} ${await reply.text()}`, what).toBe('204 ');
        expect(Object.keys(expected.fields).length, what).toBe(Object.keys(point.fields).length);
      }
      const stored = await readAll(bucket);
      for (const { line, what } of lines) {
        const { measurement, tags, fields, timestamp } = spelled(line);
        // Flux has no nanosecond before 1677-09-21T00:12:43.145224194Z plus a little: those are only written.
        if (Number(timestamp) < -9e18 || Number(timestamp) > 9e18) continue;
        for (const [field, value] of Object.entries(fields)) {
          const key = identity({ measurement, tags, field });
          const read = stored.get(key);
          // Flux writes a float without an exponent, however long.
          if (typeof value === 'number') expect(Number(read), `${what}: ${key}`).toBe(value);
          else expect(read, `${what}: ${key}`).toBe(value);
        }
      }
    });
  });

  test('a thousand points of awkward text come back as they went', async () => {
    const text = fc
      .string({
        unit: fc.constantFrom(
          'a',
          'B',
          'é',
          '😀',
          ',',
          '=',
          ' ',
          '"',
          '\\',
          '#',
          "'",
          '/',
          '\u0001',
        ),
        minLength: 1,
        maxLength: 10,
      })
      .filter((s) => !/\\([,= "]|$)/.test(s));
    const awkward = fc.record({
      tag: text,
      value: text,
      field: text,
      content: fc.string({
        unit: fc.constantFrom('a', '"', '\\', '\n', ',', ' ', '=', '日', '\t'),
        minLength: 1,
        maxLength: 20,
      }),
    });
    const points = fc.sample(awkward, { numRuns: 1_000, seed: 7 }).map(
      ({ tag, value, field, content }, at): Point => ({
        measurement: `awkward ${at}`,
        tags: { [tag]: value },
        fields: { [field]: content },
        timestampNs: BigInt(at),
      }),
    );
    await withBucket(config(), { what: 'awkward' }, async (bucket) => {
      await expect(new InfluxSink({ config: config(), bucket }).write(points)).resolves.toEqual([]);
      const stored = await readAll(bucket);
      for (const { measurement, tags, fields } of points) {
        for (const [field, value] of Object.entries(fields)) {
          const key = identity({ measurement, tags, field });
          expect(stored.get(key), key).toBe(value);
        }
      }
      expect(stored.size).toBe(1_000);
    });
  });

  test('any point the codec takes the server takes, names altered or not', async () => {
    const anything = fc.string({
      unit: fc.constantFrom(
        'a',
        '\\',
        '\n',
        '\r',
        '\t',
        '#',
        ' ',
        ',',
        '=',
        '"',
        '\u0001',
        '\u2028',
        '\ud800',
      ),
      maxLength: 6,
    });
    const value: fc.Arbitrary<FieldValue> = fc.oneof(
      anything,
      fc.boolean(),
      fc.double(),
      fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    );
    const candidates = fc
      .sample(
        fc.record({
          measurement: anything,
          tags: fc.dictionary(anything, anything, { maxKeys: 3 }),
          fields: fc.dictionary(anything, value, { maxKeys: 3 }),
        }),
        { numRuns: 3_000, seed: 11 },
      )
      .map(
        (point, at): Point => ({
          ...point,
          measurement: `${point.measurement}${at}|`,
          timestampNs: 1n,
        }),
      );
    const taken = candidates.filter((point) => {
      try {
        encodeLine(point);
        return true;
      } catch {
        return false;
      }
    });
    expect(taken.length).toBeGreaterThan(1_000);
    await withBucket(config(), { what: 'any' }, async (bucket) => {
      await expect(new InfluxSink({ config: config(), bucket }).write(taken)).resolves.toEqual([]);
    });
  });

  test('a series key and a string of exactly the largest size are stored', async () => {
    await withBucket(config(), { what: 'largest' }, async (bucket) => {
      const rejections = await new InfluxSink({ config: config(), bucket }).write([
        { measurement: 'm', tags: { t: 'x'.repeat(65_526) }, fields: { v: 1n }, timestampNs: 1n },
        { measurement: 's', tags: {}, fields: { s: 'é'.repeat(524_288) }, timestampNs: 1n },
        { measurement: 's', tags: {}, fields: { s: '"'.repeat(1_048_576) }, timestampNs: 2n },
      ]);
      expect(rejections).toEqual([]);
    });
  });

  /** Every stored value as text, under measurement, tags and field. */
  async function readAll(bucket: string): Promise<Map<string, string>> {
    const { url, org, token } = config();
    const reply = await fetch(`${url}/api/v2/query?org=${encodeURIComponent(org)}`, {
      method: 'POST',
      headers: {
        authorization: `Token ${token}`,
        'content-type': 'application/json',
      },
      body: JSON.stringify({
        // One series per row as a JSON text, so that a tag may be named like a column of Flux.
        query: `import "json"
from(bucket: "${bucket}") |> range(start: 0) |> toString()
  |> map(fn: (r) => ({ row: string(v: json.encode(v: r)) })) |> group()`,
        dialect: { header: true },
      }),
    });
    const csv = await reply.text();
    expect(reply.status, csv).toBe(200);
    const stored = new Map<string, string>();
    for (const cell of cellsOf(csv)) {
      const { _measurement, _field, _value, _start, _stop, _time, ...tags } = JSON.parse(cell);
      stored.set(identity({ measurement: _measurement, tags, field: _field }), _value);
    }
    return stored;
  }
});

function identity(series: {
  measurement: string;
  tags: Readonly<Record<string, string>>;
  field: string;
}): string {
  return JSON.stringify([series.measurement, Object.entries(series.tags).sort(), series.field]);
}

/** The last column of each row of CSV, where it is the only one that is quoted. */
function cellsOf(csv: string): string[] {
  return [...csv.matchAll(/"((?:[^"]|"")*)"/g)].map(([, cell]) => cell!.replaceAll('""', '"'));
}

/** A line as the protocol spells it: what the server must have stored, values as Flux's toString writes them. */
function spelled(line: string) {
  let at = 0;
  const until = (stops: string, escapes: string): string => {
    let text = '';
    for (; at < line.length && !stops.includes(line[at]!); at++) {
      if (line[at] === '\\' && escapes.includes(line[at + 1] ?? '\0')) at++;
      text += line[at];
    }
    return text;
  };
  const measurement = until(', ', ', ');
  const tags: Record<string, string> = {};
  while (line[at++] === ',') {
    const key = until('=', ',= ');
    at++;
    tags[key] = until(', ', ',= ');
  }
  const fields: Record<string, string | number> = {};
  do {
    const key = until('=', ',= ');
    at++;
    if (line[at] === '"') {
      at++;
      fields[key] = until('"', '"\\');
      at++;
    } else {
      const value = until(', ', '');
      if (value.endsWith('i')) fields[key] = value.slice(0, -1);
      else fields[key] = /^[tf]/.test(value) ? value : Number(value);
    }
  } while (line[at++] === ',');
  return { measurement, tags, fields, timestamp: line.slice(at) };
}
