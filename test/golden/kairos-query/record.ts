/**
 * Records what a real KairosDB answers: `KAIROSDB_URL=… node test/golden/kairos-query/record.ts [TOPIC…]`. The files here came
 * from KairosDB 1.3.0-1.20210808223203 on Cassandra 4.1 (JDK 17, zone UTC). They are not recorded again to make a
 * test pass; a new file is read before it is committed.
 */
import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { points, topics } from './asks.ts';

const url = process.env.KAIROSDB_URL;
if (url === undefined) throw new Error('KAIROSDB_URL says which server to ask');

const name = `golden${Date.now().toString(36)}x`;
const send = (path: string, body: unknown) =>
  fetch(url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: (typeof body === 'string' ? body : JSON.stringify(body)).replaceAll('M.', `${name}.`),
  });

const stored = await send('/api/v1/datapoints', points);
if (stored.status !== 204) throw new Error(await stored.text());
await sleep(3_000);
const wanted = process.argv.slice(2);
for (const [topic, asks] of Object.entries(topics)) {
  if (wanted.length > 0 && !wanted.includes(topic)) continue;
  const answers: { status: number; text: string }[] = [];
  for (const { path, body } of asks) {
    if (path.endsWith('/query') && /M\.[do]"/.test(JSON.stringify(body))) await sleep(3_000);
    const answer = await send(path, body);
    const text = (await answer.text()).replaceAll(`${name}.`, 'M.');
    answers.push({ status: answer.status, text });
  }
  const lines = answers.map((answer) => JSON.stringify(answer)).join(',\n');
  writeFileSync(new URL(`${topic}.json`, import.meta.url), `[\n${lines}\n]\n`);
}
