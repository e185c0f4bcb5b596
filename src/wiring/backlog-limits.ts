/**
 * The bounds of a sink's backlog, and what is given up when they are passed: always the oldest, told by the log's own
 * time, so that all partitions keep what is newest [T2].
 */
import type { Broker, TopicPartition } from '../broker/index.ts';
import type { BacklogTotal, WaitingPartition } from './backlog.ts';

/** 0: without limit. */
export interface BacklogLimits {
  readonly pointsMax: number;
  readonly bytesMax: number;
  readonly ageMaxMs: number;
}

/** Which bound is passed, in words, or undefined when none is. */
export function passedLimit(
  total: BacklogTotal,
  limits: BacklogLimits,
  nowMs: number,
): string | undefined {
  const { pointsMax, bytesMax, ageMaxMs } = limits;
  if (pointsMax > 0 && total.points > pointsMax)
    return `${total.points} points wait, ${pointsMax} may`;
  if (bytesMax > 0 && total.bytes > bytesMax) return `${total.bytes} bytes wait, ${bytesMax} may`;
  const ageMs = total.oldestMs === undefined ? 0 : nowMs - total.oldestMs;
  if (ageMaxMs > 0 && ageMs > ageMaxMs)
    return `the oldest has waited ${ageMs} ms, ${ageMaxMs} may pass`;
  return undefined;
}

type Position = TopicPartition & { readonly offset: number };

/**
 * From where on the backlog is within its limits: one offset for each partition given. Records at or after one log
 * time stay; of those that share the millisecond before it, as many as fit, the first partitions first.
 */
export async function keepFrom(
  broker: Pick<Broker, 'offsetAt'>,
  waiting: readonly WaitingPartition[],
  limits: BacklogLimits,
  nowMs: number,
): Promise<readonly Position[]> {
  const sum = (of: (w: WaitingPartition) => number) => waiting.reduce((all, w) => all + of(w), 0);
  const records = sum((w) => w.end - w.from);
  /** A record may hold several points; a limit is held in records of the mean size. */
  const allowed = (max: number, present: number) =>
    max > 0 && present > 0 ? Math.floor((max * records) / present) : records;
  const recordsMax = Math.max(
    0,
    Math.min(
      allowed(
        limits.pointsMax,
        sum((w) => w.points),
      ),
      allowed(
        limits.bytesMax,
        sum((w) => w.bytes),
      ),
    ),
  );

  const at = async (timeMs: number): Promise<readonly Position[]> =>
    Promise.all(
      waiting.map(async ({ topic, partition, from, end }) => {
        const offset = await broker.offsetAt({ topic, partition }, timeMs);
        return { topic, partition, offset: Math.min(end, Math.max(from, offset)) };
      }),
    );
  const kept = (positions: readonly Position[]): number =>
    positions.reduce((sum, { offset }, i) => sum + ((waiting[i]?.end ?? 0) - offset), 0);

  const oldest = Math.min(...waiting.map((w) => w.oldestMs ?? nowMs));
  const tooOld = limits.ageMaxMs > 0 ? nowMs - limits.ageMaxMs : oldest;
  let low = Math.max(oldest, tooOld);
  const first = await at(low);
  if (kept(first) <= recordsMax) return first;
  // The least time from which on few enough are left lies in (low, high].
  let high = Math.max(nowMs, low) + 1;
  while (kept(await at(high)) > recordsMax) high += Math.max(1, high - low);
  while (high - low > 1) {
    const middle = low + Math.floor((high - low) / 2);
    if (kept(await at(middle)) > recordsMax) low = middle;
    else high = middle;
  }
  const [before, after] = [await at(low), await at(high)];
  let room = recordsMax - kept(after);
  return after.map((position, i) => {
    const more = Math.min(room, position.offset - (before[i]?.offset ?? position.offset));
    room -= more;
    return { ...position, offset: position.offset - more };
  });
}
