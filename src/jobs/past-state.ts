/**
 * A topology's state as it stood at a past moment: its records read again, in isolation, from before the oldest that
 * the state can still depend on up to the last that the log had taken by then. Nothing is committed or appended.
 */
import type { Broker } from '../broker/index.ts';
import { FatalError, hours, minutes, seconds } from '../model/index.ts';
import type { StageInstance, Topology } from '../stream/index.ts';
import { IsolatedRun, upTo } from './replay-run.ts';

export interface PastTask {
  readonly instance: StageInstance;
  watermark(): number | null;
  offsets(): readonly { readonly nextOffset: number }[];
}

export interface PastStateOptions {
  readonly topology: Topology;
  readonly broker: Broker;
  /** The log's time, ms: what it had taken at or before this counts. */
  readonly atMs: number;
  /** How far back, in the log's time, the state reaches. */
  readonly reachMs: number;
  /** More records than this are refused: TOO_MUCH_ASKED. */
  readonly recordsMax: number;
  readonly signal: AbortSignal;
  /** Waits between batches, so that what is live goes first. */
  readonly pace: () => Promise<void>;
}

/** Twelve five-minute windows of the moving average, dedup's ten minutes, a window and its grace, with room. */
export const VOTE_STATE_REACH_MS = hours(1) + minutes(25);
/** A partition that had nothing for so long was idle then, as it is live. */
const IDLE_AFTER_MS = seconds(5);
const READ_BYTES = 512 * 1024;

/** @throws FatalError RANGE_INVALID when the log holds nothing from then, TOO_MUCH_ASKED. */
export async function pastState(options: PastStateOptions): Promise<readonly PastTask[]> {
  const { topology, broker, atMs, reachMs, recordsMax, signal, pace } = options;
  const topics = [...new Set(topology.sources.filter((s) => s.stage === 0).map((s) => s.topic))];
  const ranges: { topic: string; partition: number; from: number; end: number; quiet: boolean }[] =
    [];
  let lost = false;
  for (const { name: topic, partitions } of await broker.describeTopics(topics)) {
    for (const { partition, firstOffset } of partitions) {
      const place = { topic, partition };
      const end = await broker.offsetAt(place, atMs + 1);
      const from = await broker.offsetAt(place, atMs - reachMs);
      lost ||= firstOffset > 0 && end <= firstOffset;
      const quiet = end === (await broker.offsetAt(place, atMs - IDLE_AFTER_MS + 1));
      ranges.push({ ...place, from: Math.min(from, end), end, quiet });
    }
  }
  if (lost)
    throw new FatalError('the log no longer holds what was read at that time', {
      code: 'RANGE_INVALID',
    });
  const total = ranges.reduce((sum, { from, end }) => sum + end - from, 0);
  if (total > recordsMax) {
    throw new FatalError(
      `${total} records would have to be read again, at most ${recordsMax} are; ask the history instead`,
      { code: 'TOO_MUCH_ASKED' },
    );
  }
  const run = new IsolatedRun(topology, Math.max(1, ...ranges.map((r) => r.partition + 1)));
  const cursors = ranges.map((range) => ({ ...range, at: range.from }));
  const isOpen = (cursor: (typeof cursors)[number]) => cursor.at < cursor.end;
  // In turns, so that the partitions' event times stay close together.
  for (let open = cursors.filter(isOpen); open.length > 0; open = open.filter(isOpen)) {
    for (const cursor of open) {
      signal.throwIfAborted();
      const { topic, partition, end, at } = cursor;
      const read = await broker.read({ topic, partition, from: at, maxBytes: READ_BYTES });
      const batch = read === null ? undefined : upTo(read, end);
      if (batch !== undefined && batch.count > 0) {
        await run.process(batch);
        run.takeOutputs();
      }
      cursor.at = batch === undefined ? end : Math.min(batch.nextOffset, end);
      await pace();
    }
  }
  await run.idle(ranges.filter(({ quiet }) => quiet).map(({ partition }) => partition));
  return run.tasks.map(({ instance, partition }) => ({
    instance,
    watermark() {
      const lowest = Math.min(...Object.values(instance.watermarks()));
      return Number.isFinite(lowest) ? lowest : null;
    },
    offsets: () =>
      ranges
        .filter((range) => range.partition === partition && instance.topics.includes(range.topic))
        .map(({ end }) => ({ nextOffset: end })),
  }));
}
