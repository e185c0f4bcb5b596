/**
 * Points on their way from a task to its sinks: they leave as soon as a batch gave them, the sink batches,
 * retries and keeps order, and the epoch's cursor waits for them.
 */
import { deadLetterRecord } from './dead-letter.ts';
import type { PointsOut } from './stage-instance.ts';
import type { OutputRecord } from './task-context.ts';

/** How a task writes points: resolves when all are stored but those it lists as rejected for good. */
export interface SinkPort {
  /** Waits as long as it takes; gives up only when the signal aborts. */
  write(
    points: readonly unknown[],
    signal: AbortSignal,
  ): Promise<readonly { readonly index: number; readonly message: string }[]>;
  /** What points count for in the `pointsMax` of an epoch policy; absent: one each. */
  readonly weigh?: (points: readonly unknown[]) => number;
}

export class SinkWrites {
  /** Points handed to sinks and not yet answered, of this epoch and of any before. */
  pointsInFlight = 0;
  readonly #sinks: ReadonlyMap<string, SinkPort>;
  readonly #ended: () => void;
  readonly #abort = new AbortController();
  #begun: Promise<readonly OutputRecord[]>[] = [];

  /** `ended` is called whenever a write has ended, well or not. */
  constructor(sinks: ReadonlyMap<string, SinkPort>, ended: () => void) {
    this.#sinks = sinks;
    this.#ended = ended;
  }

  /** Hands points to their sinks, one write a sink. */
  begin(taken: readonly PointsOut[]): void {
    if (taken.length === 0) return;
    for (const [sink, outs] of Map.groupBy(taken, (out) => out.sink)) {
      const port = this.#sinks.get(sink);
      if (port === undefined) throw new Error(`BUG: no sink is bound to the name "${sink}"`);
      const points = outs.flatMap((out) => out.points);
      const weight = port.weigh?.(points) ?? points.length;
      this.pointsInFlight += weight;
      const written = port
        .write(points, this.#abort.signal)
        .then((rejections) =>
          rejections.map(({ index, message }) => rejectedRecord(outs, index, message)),
        )
        .finally(() => {
          this.pointsInFlight -= weight;
          this.#ended();
        });
      // The commit awaits it; until then a failure must not count as unhandled.
      written.catch(() => {});
      this.#begun.push(written);
    }
  }

  /**
   * Cuts here: resolves with the dead letters of rejected points once all that began since the last cut is
   * stored; rejects when a write failed.
   */
  cut(): Promise<readonly OutputRecord[]> {
    const begun = this.#begun;
    this.#begun = [];
    return Promise.all(begun).then((rejected) => rejected.flat());
  }

  /** The epoch under way is void: no cut waits for what began in it. */
  forget(): void {
    this.#begun = [];
  }

  /** Waits for no sink any longer. */
  abort(reason: Error): void {
    this.#abort.abort(reason);
  }
}

function rejectedRecord(outs: readonly PointsOut[], index: number, message: string): OutputRecord {
  let rest = index;
  for (const { points, origin } of outs) {
    if (rest < points.length) {
      const { topic, partition } = origin;
      const offset = origin.offsets[rest] as number;
      const record = deadLetterRecord(
        { topic, partition, offset, ...origin.original(rest) },
        'SINK_REJECTED',
        message,
      );
      return origin.deadLetter === undefined ? record : { ...record, topic: origin.deadLetter };
    }
    rest -= points.length;
  }
  throw new Error(`BUG: a sink rejected point ${index}, which was not in its batch`);
}
