/** The same requests to our interface on the embedded store, answer for answer what a real KairosDB said. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createServer } from '../../src/api/index.ts';
import { embeddedWideRows } from '../../src/databases/embedded/index.ts';
import { KairosStore } from '../../src/databases/kairos/index.ts';
import { fakeEngine } from '../support/fake-engine.ts';
import { points, topics } from './kairos-query/asks.ts';

let directory: string;
let store: KairosStore;
let app: FastifyInstance;

const send = (path: string, body: unknown) =>
  app.inject({
    method: 'POST',
    url: path,
    headers: { 'content-type': 'application/json' },
    payload: typeof body === 'string' ? body : JSON.stringify(body),
  });

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'tidemark-kairos-golden-'));
  store = new KairosStore({
    rows: embeddedWideRows({ dataDirectory: directory }),
    nonFinite: 'store',
  });
  app = await createServer({ ...(await fakeEngine()), kairos: store });
  expect((await send('/api/v1/datapoints', points)).statusCode).toBe(204);
});
afterAll(async () => {
  await app.close();
  await store.close();
  rmSync(directory, { recursive: true });
});

/** KairosDB before JDK 19 sometimes prints more digits than a number has. */
const asNumbers = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
};

describe.each(Object.entries(topics))('%s', (topic, asks) => {
  const recorded = JSON.parse(
    readFileSync(new URL(`kairos-query/${topic}.json`, import.meta.url), 'utf8'),
  ) as { status: number; text: string }[];

  it('has an answer to every request', () => {
    expect(recorded).toHaveLength(asks.length);
  });

  it.each(asks.map((ask, i) => [i, ask] as const))(
    'request %i is answered as KairosDB answers it',
    async (i, { path, body }) => {
      const answer = await send(path, body);
      const { status, text } = recorded[i] as { status: number; text: string };
      expect(answer.statusCode).toBe(status);
      // The words of Java's own exceptions are not KairosDB's; a warm JVM leaves them out.
      if (/Cannot (?:invoke|read|cast)|cannot be cast|by zero|\[null\]/.test(text)) return;
      expect(asNumbers(answer.body)).toEqual(asNumbers(text));
      if (answer.body.length !== text.length) {
        expect(text).toMatch(/\d\.\d{15}/);
      } else {
        expect(answer.body).toBe(text);
      }
    },
  );
});
