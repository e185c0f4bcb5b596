/**
 * One stretch of time of a sink, as it should be and as it is. What should be there is in memory (bounded by the
 * plan); what is there streams past it.
 */
import { hash } from 'node:crypto';
import type { Broker } from '../../broker/index.ts';
import { CHECKSUM_MODULO } from '../../model/index.ts';
import type { LogStretch, Retention, VerifiedFeed, VerifiedSink } from './contract.ts';
import { pointsOf } from './feed-log.ts';

export type VerifyWork = {
  readonly fromMs: number;
  readonly toMs: number;
  /** Families of points that are the sink's own. */
  readonly names: readonly string[];
  readonly reads: readonly LogStretch[];
  /** Where, at the plan, records began that may be stored or not. */
  readonly tails: readonly LogStretch[];
  /** Before it, what is stored may be of records that the log no longer has; null: the log has all. */
  readonly wholeFromMs: number | null;
};

export interface Comparison<P> {
  readonly expected: { readonly points: number; readonly hash: number };
  readonly stored: { readonly points: number; readonly hash: number };
  readonly missing: readonly P[];
  readonly different: readonly { readonly expected: P; readonly stored: P }[];
  /** The first of them. */
  readonly extra: readonly P[];
  readonly extraCount: number;
  /** Differences that the sink is still to write, or just wrote. */
  readonly waiting: number;
  /** Older than the database keeps. */
  readonly expired: number;
  /** Never storable. */
  readonly refused: number;
  /** Stored, of records that the log no longer has. */
  readonly beyondLog: number;
}

/** Extra points held in memory; more are counted, without a look at whether they only just came. */
const EXTRA_HELD_MAX = 50_000;

export async function compare<P>(
  broker: Broker,
  sink: VerifiedSink<P>,
  work: VerifyWork,
  signal: AbortSignal,
): Promise<Comparison<P>> {
  const form = sink.points;
  const retention = await sink.retention(signal);
  const { expected, faded, refused, ...of } = await expectedPoints(
    broker,
    sink,
    work,
    retention,
    signal,
  );
  let { expired } = of;
  const due = new Sum();
  for (const [identity, point] of expected) due.add(identity, form.value(point));

  const found = new Sum();
  const different = new Map<string, { expected: P; stored: P }>();
  const extra = new Map<string, P>();
  let extraUnheld = 0;
  let beyondLog = 0;
  const range = { fromMs: work.fromMs, toMs: work.toMs };
  for await (const page of sink.stored(range, new Set(work.names), signal)) {
    for (const point of page) {
      const timeMs = form.timeMs(point);
      if (timeMs < work.fromMs || timeMs >= work.toMs || !retention.keeps(point)) continue;
      const identity = form.identity(point);
      if (faded.has(identity)) continue;
      const value = form.value(point);
      const wanted = expected.get(identity);
      if (wanted === undefined && work.wholeFromMs !== null && timeMs < work.wholeFromMs) {
        beyondLog++;
        continue;
      }
      found.add(identity, value);
      if (wanted !== undefined) {
        expected.delete(identity);
        if (form.value(wanted) !== value)
          different.set(identity, { expected: wanted, stored: point });
      } else if (extra.size < EXTRA_HELD_MAX) extra.set(identity, point);
      else extraUnheld++;
    }
  }

  const doubtful = [expected, different, extra] as const;
  const now = await sink.retention(signal);
  for (const all of doubtful) {
    for (const [identity, entry] of all) {
      if (now.keeps(pointIn(entry))) continue;
      all.delete(identity);
      expired++;
    }
  }
  let waiting = 0;
  if (expected.size + different.size + extra.size > 0) {
    for await (const point of pointsSince(broker, sink, work, signal)) {
      const removal = form.removal?.(point);
      for (const all of doubtful) {
        if (removal === undefined) {
          if (all.delete(form.identity(point))) waiting++;
          continue;
        }
        for (const [identity, entry] of all) {
          if (removal.takes(pointIn(entry)) && all.delete(identity)) waiting++;
        }
      }
    }
  }
  return {
    expected: due.total,
    stored: found.total,
    missing: [...expected.values()],
    different: [...different.values()],
    extra: [...extra.values()],
    extraCount: extra.size + extraUnheld,
    waiting,
    expired,
    refused,
    beyondLog,
  };
}

export const isEqual = ({ missing, different, extraCount }: Comparison<unknown>): boolean =>
  missing.length + different.length + extraCount === 0;

const pointIn = <P>(entry: P | { readonly expected: P; readonly stored: P }): P =>
  isPair(entry) ? entry.expected : entry;

const isPair = <P>(
  entry: P | { readonly expected: P; readonly stored: P },
): entry is { readonly expected: P; readonly stored: P } =>
  typeof entry === 'object' && entry !== null && 'expected' in entry && 'stored' in entry;

interface Due<P> {
  /** By identity. */
  readonly expected: Map<string, P>;
  /** The database may hold these or not. */
  readonly faded: ReadonlySet<string>;
  readonly expired: number;
  readonly refused: number;
}

/** What the log says of the range, its records taken in their order. */
async function expectedPoints<P>(
  broker: Broker,
  sink: VerifiedSink<P>,
  { fromMs, toMs, reads }: VerifyWork,
  retention: Retention<P>,
  signal: AbortSignal,
): Promise<Due<P>> {
  const form = sink.points;
  const families = new Map<string, Map<string, P>>();
  const faded = new Set<string>();
  let expired = 0;
  let refused = 0;
  const familyOf = (name: string): Map<string, P> => {
    const known = families.get(name) ?? new Map<string, P>();
    families.set(name, known);
    return known;
  };
  const take = (point: P): void => {
    const removal = form.removal?.(point);
    if (removal !== undefined) {
      const family = familyOf(removal.name);
      for (const [identity, earlier] of family) if (removal.takes(earlier)) family.delete(identity);
      return;
    }
    const timeMs = form.timeMs(point);
    if (timeMs < fromMs || timeMs >= toMs) return;
    const identity = form.identity(point);
    const family = familyOf(form.name(point));
    if (!retention.keeps(point)) {
      expired++;
      faded.add(identity);
      // Whatever it landed on went with it.
      family.delete(identity);
      return;
    }
    if (form.isRefused(point)) {
      refused++;
      return;
    }
    faded.delete(identity);
    const older = family.get(identity);
    family.set(identity, older === undefined ? point : form.merge(older, point));
  };
  for (const read of reads) {
    const feed = sink.feeds[read.feed] as VerifiedFeed;
    for await (const { points } of pointsOf(broker, feed, read, signal)) {
      for (const point of points as readonly P[]) take(point);
    }
  }
  const expected = new Map<string, P>();
  for (const family of families.values()) for (const [id, point] of family) expected.set(id, point);
  return { expected, faded, expired, refused };
}

/** What the sink wrote since the plan, or has yet to write. */
async function* pointsSince<P>(
  broker: Broker,
  sink: VerifiedSink<P>,
  { tails }: VerifyWork,
  signal: AbortSignal,
): AsyncGenerator<P> {
  const topics = await broker.describeTopics([...new Set(tails.map(({ topic }) => topic))]);
  for (const tail of tails) {
    const partition = topics
      .find(({ name }) => name === tail.topic)
      ?.partitions.find((p) => p.partition === tail.partition);
    const start = Math.max(tail.start, partition?.firstOffset ?? 0);
    const stretch = { ...tail, start, end: partition?.nextOffset ?? tail.end };
    const feed = sink.feeds[tail.feed] as VerifiedFeed;
    for await (const { points } of pointsOf(broker, feed, stretch, signal))
      yield* points as readonly P[];
  }
}

/** Of points in any order. */
class Sum {
  #points = 0;
  #hash = 0;

  add(identity: string, value: string): void {
    this.#points++;
    const digest = hash('sha256', `${identity}\n${value}`, 'hex');
    this.#hash = (this.#hash + Number.parseInt(digest.slice(0, 13), 16)) % CHECKSUM_MODULO;
  }

  get total(): { readonly points: number; readonly hash: number } {
    return { points: this.#points, hash: this.#hash };
  }
}
