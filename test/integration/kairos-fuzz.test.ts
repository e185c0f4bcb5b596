/**
 * Bodies that are nearly right never take the server down, and get 500 only where the original gives it. By hand for
 * more of them: KAIROS_FUZZ_COUNT=100000 KAIROS_FUZZ_SEED=1 npx vitest --project integration kairos-fuzz.
 */
import { expect, test } from 'vitest';
import { type FuzzedRequest, fuzzedRequest } from '../support/kairos-fuzz.ts';
import { kairosServer } from '../support/kairos-server.ts';

const count = Number(process.env.KAIROS_FUZZ_COUNT ?? 500);
const seed = Number(process.env.KAIROS_FUZZ_SEED ?? 1);
const original = process.env.KAIROSDB_URL;

async function originalStatus({ method, path, headers, body }: FuzzedRequest): Promise<number> {
  const sent = { method, headers, ...(body === '' ? {} : { body }) };
  const answer = await fetch(`${original}/api/v1${path}`, sent);
  await answer.arrayBuffer();
  return answer.status;
}

test('whatever is sent gets an answer in form, and 500 only where the original gives one', {
  tags: ['heavy'],
  timeout: 3_600_000,
}, async () => {
  const server = await kairosServer();
  try {
    await server.store.connect();
    const points = Array.from({ length: 50 }, (_, n) => ({
      metric: n % 5 === 0 ? 'fuzz.words' : 'fuzz.m',
      tags: { host: n % 2 === 0 ? 'a' : 'b', dc: 'x' },
      timestampMs: 1_700_000_000_000 + n * 30_000,
      value: n % 5 === 0 ? `w${n}` : n + 0.5,
    }));
    await server.store.write(points);
    const worse: string[] = [];
    for (let n = seed; n < seed + count; n++) {
      const request = fuzzedRequest(n);
      const { method, path, headers, body } = request;
      const answer = await server.app.inject({
        method,
        url: `/api/v1${path}`,
        headers,
        ...(body === '' ? {} : { payload: body }),
      });
      if (answer.statusCode < 400) continue;
      expect(JSON.parse(answer.body), `seed ${n}`).toHaveProperty('errors');
      if (answer.statusCode < 500) continue;
      expect(answer.statusCode, `seed ${n}: ${answer.body}`).toBe(500);
      if (original !== undefined && (await originalStatus(request)) < 500) {
        worse.push(
          `seed ${n}: ${method} ${path.slice(0, 200)} ${body.slice(0, 500)}: ${answer.body}`,
        );
      }
    }
    expect(worse).toEqual([]);
  } finally {
    await server.close();
  }
});
