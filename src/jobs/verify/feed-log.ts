/**
 * What a sink should hold, from the log: its feed run again over a stretch of offsets. An index by minutes of event
 * time tells which offsets an hour's points lie in, so that each is read about once however late they came.
 */
import type { Broker } from '../../broker/index.ts';
import { FatalError, hours, minutes } from '../../model/index.ts';
import { StageInstance } from '../../stream/index.ts';
import { WARM_UP_MS } from '../replay-range.ts';
import { upTo } from '../replay-run.ts';
import type { LogStretch, VerifiedFeed, VerifiedSink } from './contract.ts';

const READ_BYTES = 256 * 1024;
const MINUTE_MS = minutes(1);
/** No event is further ahead of the log's time than this: feeds pass over what is. */
const AHEAD_MAX_MS = hours(1);

export interface Bounds {
  /** Up to the sink's cursor: what must be stored. */
  readonly due: readonly LogStretch[];
  /** By the same places, where records begin that may be stored or not. */
  readonly tails: readonly LogStretch[];
  /** Places whose first records retention has taken. */
  readonly cut: ReadonlySet<LogStretch>;
}

/** `fromMs`: nothing before it is wanted. */
export async function boundsOf(
  broker: Broker,
  sink: VerifiedSink,
  fromMs: number | undefined,
): Promise<Bounds> {
  const due: LogStretch[] = [];
  const tails: LogStretch[] = [];
  const cut = new Set<LogStretch>();
  for (const [feed, { topology, group, anyTime }] of sink.feeds.entries()) {
    const topics = [...new Set(topology.sources.map(({ topic }) => topic))];
    const committed = group === undefined ? undefined : await broker.committedOffsets(group);
    for (const { name: topic, partitions } of await broker.describeTopics(topics)) {
      for (const { partition, firstOffset, nextOffset } of partitions) {
        const place = { topic, partition };
        const at = committed?.find((c) => c.topic === topic && c.partition === partition)?.offset;
        const end = committed === undefined ? nextOffset : Math.max(at ?? firstOffset, firstOffset);
        const early =
          fromMs === undefined || anyTime
            ? firstOffset
            : await broker.offsetAt(place, Math.max(0, fromMs - AHEAD_MAX_MS - WARM_UP_MS));
        const start = Math.min(Math.max(early, firstOffset), end);
        const stretch = { feed, topic, partition, start, end };
        due.push(stretch);
        tails.push({ ...stretch, start: end, end: nextOffset });
        if (start === firstOffset && firstOffset > 0) cut.add(stretch);
      }
    }
  }
  return { due, tails, cut };
}

/** The points of a stretch, batch by batch, with the offsets that each batch took. */
export async function* pointsOf(
  broker: Broker,
  { topology, unpack = (given) => given }: VerifiedFeed,
  { topic, partition, start, end }: LogStretch,
  signal: AbortSignal,
): AsyncGenerator<{
  readonly points: readonly unknown[];
  readonly start: number;
  readonly end: number;
}> {
  const partitions = partition + 1;
  const instance = new StageInstance({ topology, stage: 0, partition, partitions });
  instance.stores.restored();
  for (let at = start; at < end; ) {
    signal.throwIfAborted();
    const read = await broker.read({ topic, partition, from: at, maxBytes: READ_BYTES });
    if (read === null) return;
    const batch = upTo(read, end);
    if (batch.count > 0) {
      instance.process(batch);
      await instance.drained();
    }
    const { points } = instance.takeOutputs();
    // State is not kept: a run starts anew when it dies.
    instance.stores.drain(() => {});
    const next = Math.min(Math.max(batch.nextOffset, at + 1), end);
    yield { points: unpack(points.flatMap((output) => output.points)), start: at, end: next };
    at = next;
    // What is live goes first.
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Minutes that the index tells apart, at most: about a year of them, some 200 MB. */
const MINUTES_MAX = 500_000;
/** Removals behind an hour's own stretch are read one by one up to here, then as one stretch. */
const REMOVALS_APART = 32;

interface Removed {
  readonly place: number;
  readonly start: number;
  readonly end: number;
  readonly fromMs: number;
  readonly toMs: number;
}

interface Minute {
  points: number;
  /** By place among the stretches. */
  readonly offsets: Map<number, { start: number; end: number }>;
}

export class LogIndex {
  readonly #stretches: readonly LogStretch[];
  readonly #minutes = new Map<number, Minute>();
  readonly #removals: Removed[] = [];
  readonly names = new Set<string>();
  /** From here on nothing that was stored can have lost its record. */
  wholeFromMs = Number.NEGATIVE_INFINITY;

  private constructor(stretches: readonly LogStretch[]) {
    this.#stretches = stretches;
  }

  /** `range`: of which times it has to tell. */
  static async read(
    broker: Broker,
    sink: VerifiedSink,
    { due, cut }: Bounds,
    range: { readonly fromMs: number; readonly toMs: number },
    signal: AbortSignal,
  ): Promise<LogIndex> {
    const index = new LogIndex(due);
    const form = sink.points;
    for (const [place, stretch] of due.entries()) {
      const feed = sink.feeds[stretch.feed] as VerifiedFeed;
      let isFirst = cut.has(stretch);
      // Its points follow no order of time: any of them may have gone with a record.
      if (isFirst && feed.anyTime) index.wholeFromMs = Number.MAX_SAFE_INTEGER;
      for await (const { points, start, end } of pointsOf(broker, feed, stretch, signal)) {
        for (const point of points) {
          const removal = form.removal?.(point);
          if (removal !== undefined) {
            const { fromMs, toMs } = removal;
            index.#removals.push({ place, start, end, fromMs, toMs });
            continue;
          }
          const timeMs = form.timeMs(point);
          if (isFirst) index.#cutAt(timeMs);
          isFirst = false;
          index.names.add(form.name(point));
          if (timeMs < range.fromMs - WARM_UP_MS || timeMs >= range.toMs) continue;
          index.#add(place, Math.floor(timeMs / MINUTE_MS), { start, end });
        }
      }
    }
    return index;
  }

  /** Starts of the minutes that have points, ascending. */
  get minutes(): readonly number[] {
    return [...this.#minutes.keys()].sort((a, b) => a - b).map((minute) => minute * MINUTE_MS);
  }

  /** Points of a minute, those counted that land on others. */
  pointsIn(minuteMs: number): number {
    return this.#minutes.get(minuteMs / MINUTE_MS)?.points ?? 0;
  }

  /** What to read for a range, and before it what dedup must have seen. */
  stretchesOf(fromMs: number, toMs: number): readonly LogStretch[] {
    const found = new Map<number, { start: number; end: number }>();
    const visit = (from: number, to: number, isWanted: boolean) => {
      for (let minute = Math.floor(from / MINUTE_MS); minute * MINUTE_MS < to; minute++) {
        for (const [place, { start, end }] of this.#minutes.get(minute)?.offsets ?? []) {
          const known = found.get(place);
          if (known === undefined) {
            if (isWanted) found.set(place, { start, end });
            continue;
          }
          known.start = Math.min(known.start, start);
          if (isWanted) known.end = Math.max(known.end, end);
        }
      }
    };
    visit(fromMs, toMs, true);
    visit(fromMs - WARM_UP_MS, fromMs, false);
    return [...found]
      .sort(([a], [b]) => a - b)
      .flatMap(([place, offsets]) =>
        [offsets, ...this.#removalsBehind(place, offsets.end, fromMs, toMs)].map((part) => ({
          ...(this.#stretches[place] as LogStretch),
          ...part,
        })),
      );
  }

  /** What was taken away of a range after the last of its points came. */
  #removalsBehind(place: number, behind: number, fromMs: number, toMs: number) {
    const found: { start: number; end: number }[] = [];
    for (const each of this.#removals) {
      if (each.place !== place || each.start < behind) continue;
      if (each.fromMs >= toMs || each.toMs <= fromMs) continue;
      // Several of one batch are one reading.
      if (found.at(-1)?.start !== each.start) found.push({ start: each.start, end: each.end });
    }
    if (found.length <= REMOVALS_APART) return found;
    return [{ start: found[0]?.start ?? 0, end: found.at(-1)?.end ?? 0 }];
  }

  #add(place: number, minute: number, at: { readonly start: number; readonly end: number }): void {
    const known = this.#minutes.get(minute) ?? { points: 0, offsets: new Map() };
    this.#minutes.set(minute, known);
    if (this.#minutes.size > MINUTES_MAX) {
      throw new FatalError(
        `the points lie in more than ${MINUTES_MAX} different minutes; give a shorter range with from and to`,
        { code: 'RANGE_TOO_WIDE' },
      );
    }
    known.points++;
    const offsets = known.offsets.get(place);
    if (offsets === undefined) known.offsets.set(place, { ...at });
    else {
      offsets.start = Math.min(offsets.start, at.start);
      offsets.end = Math.max(offsets.end, at.end);
    }
  }

  /** Records around the first one's time may be gone. */
  #cutAt(timeMs: number): void {
    this.wholeFromMs = Math.max(this.wholeFromMs, timeMs + WARM_UP_MS);
  }
}
