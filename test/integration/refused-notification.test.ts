/** What a receiver refuses for good is set aside with the reason, and the others still go out. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openEmbeddedBroker } from '../../src/broker/index.ts';
import { minutes } from '../../src/model/index.ts';
import { silentLogger, systemClock } from '../../src/runtime/index.ts';
import { AlertReceiver, type Notice } from '../support/alert-receiver.ts';
import { temporaryDirectory } from '../support/embedded-broker.ts';
import { recordsOf } from '../support/engine-contents.ts';
import { EngineProcess, settled } from '../support/engine-process.ts';

const START = 1_757_500_020_000;
const HOSTS = ['quiet', 'refused', 'busy', 'last'];

/** One host after another is busy for a quarter of an hour, but the first never is. */
function* readings(): Generator<string> {
  for (let at = START; at < START + minutes(60); at += 10_000) {
    for (const [i, host] of HOSTS.entries()) {
      const minute = (at - START) / minutes(1) - 2 * i;
      const fields = { usage_percent: i > 0 && minute >= 10 && minute < 25 ? 97 : 40 };
      const place = { host, region: 'eu', environment: 'test' };
      yield JSON.stringify({ ...place, metricType: 'cpu', timestamp: at, fields });
    }
  }
}

const toldBy = ({ message: { firing, resolved } }: Notice): string =>
  [...firing, ...resolved].map(({ subject, state }) => `${subject} ${state}`).join();

test('what one receiver refuses is in the dead letters with its reason, and everything else is delivered', async () => {
  let failures = 0;
  const picky = await AlertReceiver.forThisTest((notice) => {
    if (toldBy(notice) === 'refused firing') return 400;
    if (toldBy(notice) === 'busy firing' && failures < 2) {
      failures++;
      return 500;
    }
    return 204;
  });
  const easy = await AlertReceiver.forThisTest();
  const data = await temporaryDirectory();
  const file = join(data, 'alerts.json');
  const channels = {
    easy: { type: 'webhook', url: easy.url },
    picky: { type: 'webhook', url: picky.url },
  };
  const off = { enabled: false };
  const rules = {
    cpu: { warning: null, critical: 90 },
    ...{ 'sink-rejects': off, 'sink-failing': off, 'engine-disk': off, 'slow-queries': off },
  };
  await writeFile(file, JSON.stringify({ rules, channels, notifications: { groupWait: '0s' } }));
  const engine = EngineProcess.forThisTest({
    data,
    environment: {
      TIDEMARK_ALERTS_FILE: file,
      TIDEMARK_ROLES: 'engine,sinks,ingest,api',
      SINK_BACKOFF_BASE_MS: '20',
    },
  });
  const reply = await fetch(`${await engine.url()}/v1/topics/system.metrics/records`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson' },
    body: [...readings()].join('\n'),
  });
  expect(reply.status, await reply.text()).toBe(200);
  await settled([engine], { quietMs: 2_000 });
  expect(await engine.stop(), engine.report).toBe(0);

  const all = HOSTS.slice(1).flatMap((host) => [`${host} firing`, `${host} resolved`]);
  expect(easy.got.map(toldBy).sort()).toEqual([...all].sort());
  const came = picky.got.map(toldBy);
  expect(came.filter((told) => told === 'refused firing')).toHaveLength(1);
  const again = picky.got.filter((notice) => toldBy(notice) === 'busy firing');
  expect(again).toHaveLength(3);
  expect(new Set(again.map(({ key }) => key)).size).toBe(1);
  // Once each, and in the order in which the other channel was told.
  expect([...new Set(came)]).toEqual(easy.got.map(toldBy));
  expect(came).toHaveLength(all.length + 2);

  const broker = await openEmbeddedBroker({
    directory: data,
    clock: systemClock,
    logger: silentLogger,
  });
  const dead = await recordsOf(broker, ['alerts.dead-letter']);
  await broker.close();
  expect(dead).toHaveLength(1);
  const { bytes, ...letter } = JSON.parse(dead[0]?.value ?? '');
  expect(letter).toMatchObject({
    topic: 'tidemark.alerts.messages',
    code: 'SINK_REJECTED',
    message: 'channel picky answered 400 (as the test says)',
  });
  expect(JSON.parse(Buffer.from(bytes, 'base64').toString())).toMatchObject({
    channel: 'picky',
    firing: [{ subject: 'refused', state: 'firing' }],
  });
});
