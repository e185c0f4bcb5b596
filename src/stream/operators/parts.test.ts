/** `acrossPartitions`, driven: parts of all partitions become one window, whoever crashes or sleeps meanwhile. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { voteLatency } from '../../../topologies/index.ts';
import type { Rollup } from '../../model/index.ts';
import { drive, type TopologyDriver } from '../driver.ts';
import { numbers, type Reading, readingCodec, readings } from '../testing.ts';
import { topology } from '../topology.ts';
import { tumbling } from '../windows.ts';
import { mergeParts, partCodec, sendParts } from './parts.ts';
import { window } from './window.ts';

const startMs = 1_757_500_000_000 - (1_757_500_000_000 % 300_000);
let slot = 0;
const vote = (partition: number, atMs: number) => ({
  partition,
  value: {
    validator: `validator-${partition}`.padEnd(32, '1'),
    voteAccount: `account-${partition}`.padEnd(32, '1'),
    network: 'testnet',
    votedSlot: slot++,
    landedSlot: slot + 1,
    timestamp: startMs + atMs,
  },
});

const networks = (driver: TopologyDriver) =>
  driver
    .read<Rollup>('votes.rollup.5m')
    .filter((rollup) => rollup.scope === 'network')
    .map(({ window, count, revision }) => [window.start - startMs, count, revision]);

test('partitions that fall asleep after a restart still let the last windows out', () => {
  const driver = drive(voteLatency, { partitions: 2 });
  driver.pipe('votes', [vote(0, 0), vote(0, 400_000), vote(1, 1_000)]);
  driver.crash();
  driver.idle([0, 1]);
  expect(networks(driver)).toEqual([[0, 1, 0]]);
});

const ten = tumbling({ sizeMs: 10, graceMs: 5 });
const across = topology('across', ({ source }) => {
  source('in', readingCodec)
    .pipe('window', window({ by: ['k'], windows: ten, aggregate: numbers, carry: ['n'] }))
    .acrossPartitions('parts', (topic) => sendParts(topic, ten, numbers), partCodec)
    .pipe('merge', mergeParts(ten, numbers))
    .to('out', {
      key: () => null,
      value: (w) =>
        JSON.stringify(
          `${w.key[0]}[${w.start},${w.end})=${w.state?.join('+')} r${w.revision} n ${w.carried.n} of ${w.parts?.map((p) => `${p.partition}:${p.firstOffset}..${p.lastOffset}`)}`,
        ),
    });
});
const at = (partition: number, drawn: string) =>
  readings(drawn).map((record) => ({ ...record, partition }));

test('a window is given once every partition has passed it, its parts in the order of the partitions', () => {
  const driver = drive(across, { partitions: 2 });
  driver.pipe('in', at(1, 'a3@1 a4@2 b9@20'));
  driver.pipe('in', at(0, 'a1@5 a2@14'));
  expect(driver.read('out')).toEqual([]);
  driver.pipe('in', at(0, 'b8@16'));
  expect(driver.read('out')).toEqual(['a[0,10)=1+3+4 r0 n 1 of 0:0..0,1:0..1']);
});

test('a partition that nothing was ever heard of holds all windows; one that is idle holds none', () => {
  const driver = drive(across, { partitions: 3 });
  driver.pipe('in', [...at(0, 'a1@1 b1@99'), ...at(1, 'a2@1 b2@99')]);
  expect(driver.read('out')).toEqual([]);
  driver.idle([2]);
  expect(driver.read('out')).toEqual(['a[0,10)=1+2 r0 n 1 of 0:0..0,1:0..0']);
});

test('a part of a partition that had slept gives its window again, whole, as the next revision', () => {
  const driver = drive(across, { partitions: 2 });
  driver.pipe('in', at(0, 'a1@1 b1@99')).idle([1]);
  driver.pipe('in', at(1, 'a2@2 b2@99'));
  expect(driver.read<string>('out').filter((line) => line.startsWith('a'))).toEqual([
    'a[0,10)=1 r0 n 1 of 0:0..0',
    'a[0,10)=1+2 r1 n 1 of 0:0..0,1:0..0',
  ]);
});

test('windows are given in order of their ends, then of their keys', () => {
  const driver = drive(across, { partitions: 2 });
  driver.pipe('in', at(0, 'c1@1 a1@12 b1@3 z1@99'));
  driver.pipe('in', at(1, 'b2@11 z2@99'));
  expect(driver.read<string>('out').map((line) => line.split('=')[0])).toEqual([
    'b[0,10)',
    'c[0,10)',
    'a[10,20)',
    'b[10,20)',
  ]);
});

test('the internal topic can be written and read by its codec', () => {
  const part = {
    kind: 'progress' as const,
    partition: 0,
    partitions: 2,
    watermark: null,
    idle: true,
  };
  expect(JSON.parse(String(partCodec.encode?.(part)))).toEqual(part);
});

test('no interleaving of partitions, no batch cut and no crash changes what a window holds in the end', {
  tags: 'heavy',
}, () => {
  const reading = fc.record({
    k: fc.constantFrom('a', 'b'),
    n: fc.nat(9),
    t: fc.nat(60),
    partition: fc.nat(2),
  });
  const lastRevisions = (driver: TopologyDriver) => {
    const last = new Map<string, string>();
    for (const line of driver.read<string>('out')) {
      const [, id = '', rest = ''] = /^(\S+?)=(.*)$/.exec(line) ?? [];
      last.set(id, rest.replace(/ r\d+/, ''));
    }
    return [...last].sort();
  };
  const record = ({ partition, ...value }: Reading & { partition: number }) => ({
    key: value.k,
    value,
    partition,
  });
  fc.assert(
    fc.property(
      fc.array(reading, { maxLength: 60 }),
      fc.integer({ min: 1, max: 10 }),
      fc.array(fc.nat(60), { maxLength: 3 }),
      (rows, batchRecords, crashes) => {
        const whole = drive(across, { partitions: 3 }).pipe('in', rows.map(record)).end();
        const driver = drive(across, { partitions: 3, batchRecords });
        // Partition after partition, instead of all at once.
        rows
          .toSorted((a, b) => a.partition - b.partition)
          .forEach((row, i) => {
            driver.pipe('in', [record(row)], { commit: i % 3 === 0 });
            if (crashes.includes(i)) driver.crash();
            if (i % 7 === 0) driver.idle([row.partition]);
          });
        expect(lastRevisions(driver.end())).toEqual(lastRevisions(whole));
      },
    ),
    { numRuns: 150 },
  );
});
