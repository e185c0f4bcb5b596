/** Replays of a running engine, over HTTP and beside it: what was deleted comes back, what a change would do is shown. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { embeddedWideRows } from '../../src/databases/embedded/index.ts';
import { KairosStore } from '../../src/databases/kairos/index.ts';
import { systemClock } from '../../src/runtime/index.ts';
import { temporaryDirectory } from '../support/embedded-broker.ts';
import { differences, embeddedPoints } from '../support/engine-contents.ts';
import { EngineProcess, settled } from '../support/engine-process.ts';
import { command, environment, publish, replay } from '../support/published-votes.ts';

test('a replay into the KairosDB store brings back what was deleted, point by point', async () => {
  const data = await temporaryDirectory();
  const first = EngineProcess.forThisTest({ data, environment });
  await publish(await first.url());
  await settled([first]);
  expect(await first.stop(), first.report).toBe(0);
  const before = await embeddedPoints(data);
  expect(before.size).toBeGreaterThan(25_000);

  const store = new KairosStore({
    rows: embeddedWideRows({ dataDirectory: data, clock: systemClock }),
  });
  await store.connect();
  await store.deleteMetric('vote_latency');
  await store.deleteMetric('vote_latency.p99');
  await store.close();
  expect((await embeddedPoints(data)).size).toBeLessThan(before.size / 2);

  const second = EngineProcess.forThisTest({ data, environment });
  const url = await second.url();
  const votesAgain = await replay(url, { name: 'kairos.votes', from: { offset: 0 } });
  expect(votesAgain).toMatchObject({ state: 'done', into: ['kairos.votes'] });
  const rollupsAgain = await replay(url, {
    name: 'vote-latency',
    from: { offset: 0 },
    into: ['kairos.rollups'],
  });
  expect(rollupsAgain.state).toBe('done');
  expect(await second.stop(), second.report).toBe(0);
  expect(differences(await embeddedPoints(data), before)).toEqual([]);
});

test('a replay shows what another grace period would have changed', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'tidemark-mine-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, 'mine.ts');
  const write = (graceMs: number) =>
    writeFile(
      file,
      `import { closed, integer, recordCodec, summary, text, topology, tumbling, window } from 'tidemark';
       const votes = recordCodec({
         name: 'vote',
         timestamp: 'timestamp',
         fields: { network: text({ maxBytes: 7 }), votedSlot: integer({ min: 0 }), timestamp: integer({ min: 0 }) },
       });
       export default topology('mine', ({ source }) => {
         source('votes', votes)
           .pipe('five minutes', window({
             by: ['network'],
             windows: tumbling({ sizeMs: 300_000, graceMs: ${graceMs} }),
             aggregate: summary('votedSlot'),
           }))
           .pipe('results', closed(({ key: [network], start, end, state }) => ({ network, window: { start, end }, count: state.count })))
           .to('votes.counted', { key: (row) => row.network, value: (row) => JSON.stringify(row) });
       });
      `,
    );
  const data = await temporaryDirectory();
  const flags = ['--topology', file];
  const diff = () => command('replay', 'mine', '--from', '0', '--diff', '--data', data);

  await write(30_000);
  const first = EngineProcess.forThisTest({ data, flags });
  await publish(await first.url());
  await settled([first]);
  const same = await diff();
  expect(same.stdout, same.stderr).toMatch(/^compared \d{2,}, different 0\n$/);
  expect(same.code).toBe(0);
  expect(await first.stop(), first.report).toBe(0);

  await write(900_000);
  const second = EngineProcess.forThisTest({ data, flags });
  await second.url();
  await settled([second]);
  const changed = await diff();
  expect(changed.stdout, changed.stderr).toMatch(/^compared \d{2,}, different [1-9]\d*\n$/);
  expect(changed.code).toBe(1);
});
