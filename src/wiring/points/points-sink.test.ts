/** The end of the points' way: runs in the order of the log, one prepared while another is stored, never two at once. */
import { expect, it } from 'vitest';
import {
  encodeDelete,
  type KairosStore,
  type PackedWriteOptions,
} from '../../databases/kairos/index.ts';
import { type LoggedPoints, pointsSink } from './points-sink.ts';

/** Holds 40,000 points, so it says: three to a run of Cassandra's. */
function record(offset: number, points = 40_000): LoggedPoints {
  const bytes = Buffer.from([1, 0, 0, 0, 0]);
  bytes.writeUInt32BE(points, 1);
  return { partition: 0, offset, appendedAtMs: 0, bytes };
}

const remove = (offset: number): LoggedPoints => ({
  ...record(offset),
  bytes: encodeDelete({
    metric: 'm',
    startMs: -Infinity,
    endMs: Infinity,
    tags: new Map(),
    withName: true,
  }),
});

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

function opened(failing = Infinity) {
  const events: string[] = [];
  let writes = 0;
  const store = {
    rows: { kind: 'cassandra' },
    async writePacked(records: readonly Buffer[], _points: number, options: PackedWriteOptions) {
      const n = ++writes;
      events.push(`prepare ${n} of ${records.length}`);
      await options.behind;
      events.push(`store ${n}`);
      await turn();
      if (n === failing) throw new Error(`${n} failed`);
      events.push(`stored ${n}`);
      return n === 2 ? [{ index: 1, message: 'bad' }] : [];
    },
    async deleteMetric() {
      events.push('delete');
      await turn();
      events.push('deleted');
    },
  } as unknown as KairosStore;
  const onStored = (_partition: number, offset: number) => events.push(`at ${offset}`);
  return { events, sink: pointsSink({ name: 'points', store, onStored }) };
}

it('a run is prepared while the one before it is stored, and stored behind it', async () => {
  const { events, sink } = opened();
  const rejections = await sink.write([0, 1, 2, 3, 4, 5, 6].map((at) => record(at)));
  expect(events.filter((event) => !event.startsWith('at'))).toEqual([
    'prepare 1 of 3',
    'store 1',
    'prepare 2 of 3',
    'stored 1',
    'store 2',
    'prepare 3 of 1',
    'stored 2',
    'store 3',
    'stored 3',
  ]);
  expect(events.at(-1)).toBe('at 7');
  expect(rejections).toEqual([{ index: 4, message: 'bad' }]);
});

it.each([
  { rest: [12_000, 12_000], runs: ['1 of 5'] },
  { rest: [12_000, 13_000], runs: ['1 of 3', '2 of 2'] },
  { rest: [12_000, 12_000, 12_000], runs: ['1 of 3', '2 of 3'] },
])(
  'what is left of a batch goes with the run before it when it is little: $rest',
  async ({ rest, runs }) => {
    const { events, sink } = opened();
    await sink.write([40_000, 40_000, 40_000, ...rest].map((points, at) => record(at, points)));
    expect(events.filter((event) => event.startsWith('prepare'))).toEqual(
      runs.map((run) => `prepare ${run}`),
    );
  },
);

it('what stands before a delete goes with its run when it is little, what stands behind it never', async () => {
  const { events, sink } = opened();
  await sink.write([
    ...[record(0, 100_000), record(1, 9_000), remove(2)],
    ...[record(3, 9_000), remove(4)],
  ]);
  expect(events.filter((event) => !event.startsWith('at'))).toEqual([
    ...['prepare 1 of 2', 'store 1', 'stored 1', 'delete'],
    ...['prepare 2 of 1', 'deleted', 'store 2', 'stored 2', 'delete', 'deleted'],
  ]);
});

it('a delete waits for what stands before it, and what stands behind it waits for the delete', async () => {
  const { events, sink } = opened();
  await sink.write([record(0), remove(1), record(2)]);
  expect(events).toEqual([
    ...['prepare 1 of 1', 'store 1', 'stored 1', 'at 1', 'delete'],
    ...['prepare 2 of 1', 'deleted', 'at 2', 'store 2', 'stored 2', 'at 3'],
  ]);
});

it('behind a run that failed nothing is stored, and nothing is under way when that is told', async () => {
  const { events, sink } = opened(1);
  await expect(sink.write([0, 1, 2, 3, 4, 5, 6].map((at) => record(at)))).rejects.toThrow(
    '1 failed',
  );
  const told = [...events];
  await turn();
  expect(events).toEqual(told);
  expect(events).toEqual(['prepare 1 of 3', 'store 1', 'prepare 2 of 3']);
});
