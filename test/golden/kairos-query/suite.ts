/** Sends the recorded requests to our interface on some store, and compares answer for answer. */
import { readFileSync } from 'node:fs';
import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createServer } from '../../../src/api/index.ts';
import { KairosStore, type WideRows } from '../../../src/databases/kairos/index.ts';
import { fakeEngine } from '../../support/fake-engine.ts';
import { ingestInto } from '../../support/kairos-ingest.ts';
import { points, topics } from './asks.ts';

/** Texts of exceptions that are Java's, Joda's and Gson's. */
const JAVAS_OWN =
  /Cannot (?:invoke|read|cast)|cannot be cast|by zero|\[null\]|overflow|too large|in the range|JSONException|Expected an? (?:long|int) but|IllegalStateException"\]\}$/;

/** KairosDB before JDK 19 sometimes prints more digits than a number has. */
const asNumbers = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
};

export function kairosQuerySuite(
  open: () => Promise<{ readonly rows: WideRows; close(): Promise<void> }>,
  isAsked: (topic: string) => boolean = () => true,
): void {
  let opened: Awaited<ReturnType<typeof open>>;
  let app: FastifyInstance;
  const send = (path: string, body: unknown) =>
    app.inject({
      method: 'POST',
      url: path,
      headers: { 'content-type': 'application/json' },
      payload: typeof body === 'string' ? body : JSON.stringify(body),
    });

  beforeAll(async () => {
    opened = await open();
    const kairos = new KairosStore({ rows: opened.rows, nonFinite: 'store' });
    app = await createServer({
      ...(await fakeEngine()),
      kairos,
      ingest: ingestInto(kairos),
    });
    expect((await send('/api/v1/datapoints', points)).statusCode).toBe(204);
  });
  afterAll(async () => {
    await app.close();
    await opened.close();
  });

  describe.each(Object.entries(topics).filter(([topic]) => isAsked(topic)))('%s', (topic, asks) => {
    const recorded = JSON.parse(
      readFileSync(new URL(`${topic}.json`, import.meta.url), 'utf8'),
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
        if (JAVAS_OWN.test(text)) return;
        expect(asNumbers(answer.body)).toEqual(asNumbers(text));
        if (answer.body.length === text.length) expect(answer.body).toBe(text);
        else expect(text).toMatch(/\d\.\d{15}/);
      },
    );
  });
}
