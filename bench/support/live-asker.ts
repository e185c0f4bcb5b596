/**
 * Asks the live endpoints at a fixed pace from a process of its own. A time runs from when a request was due,
 * not from when it could be sent, to the answer's last byte: a stall counts for every request that it delays.
 * `node live-asker.ts URL SECONDS PER_SECOND ROUTE…` prints `{ "route": [ms, …] }`.
 */
import { Agent, get } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

const [url = '', seconds = '', perSecond = '', ...routes] = process.argv.slice(2);
const agent = new Agent({ keepAlive: true, maxSockets: 16 });
const times: Record<string, number[]> = Object.fromEntries(routes.map((route) => [route, []]));
const count = Number(seconds) * Number(perSecond);
const everyMs = 1_000 / Number(perSecond);

const ask = (route: string, dueMs: number): Promise<void> =>
  new Promise((resolve, reject) => {
    get(new URL(route, url), { agent }, (response) => {
      response.resume();
      response.on('end', () => {
        if (response.statusCode !== 200) {
          reject(new Error(`${route}: ${response.statusCode}`));
          return;
        }
        times[route]?.push(performance.now() - dueMs);
        resolve();
      });
    }).on('error', reject);
  });

const beganMs = performance.now();
const asked: Promise<void>[] = [];
for (let i = 0; i < count; i++) {
  const dueMs = beganMs + i * everyMs;
  const wait = dueMs - performance.now();
  if (wait > 0) await sleep(wait);
  // Timers of Node are late by up to a millisecond; that is ours, not the engine's.
  asked.push(ask(routes[i % routes.length] as string, Math.max(dueMs, performance.now() - 1.5)));
}
await Promise.all(asked);
process.stdout.write(JSON.stringify(times));
process.exit(0);
