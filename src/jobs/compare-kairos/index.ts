/**
 * Compares what two KairosDB servers hold: each metric's time is cut into slices, each slice is read from both and
 * compared point by point. A slice with very many points is halved until its parts fit in memory.
 */
import type { JobKind, PlannedUnit } from '../contract.ts';
import { type Difference, differencesOf, differenceText } from './differences.ts';
import type { KairosServer, TimeRange } from './server.ts';

export { type Difference, differenceJson, differenceText } from './differences.ts';
export { KairosServer } from './server.ts';

export interface CompareInput {
  /** Without what signs in there. */
  readonly a: string;
  readonly b: string;
  /** Beginnings of metric names; none = all. */
  readonly prefixes: readonly string[];
  readonly fromMs: number;
  /** Not included. */
  readonly toMs: number;
  readonly sliceMs: number;
  readonly [key: string]: string | number | readonly string[];
}

/** `fromMs` absent: it is about the name alone, which only `only` knows. */
interface SliceWork {
  readonly metric: string;
  readonly fromMs?: number;
  readonly toMs?: number;
  readonly only?: 'a' | 'b';
  readonly [key: string]: string | number | undefined;
}

export interface CompareResult {
  readonly points: number;
  readonly differences: number;
}

/** Points of one server held at once. */
const POINTS_MAX = 200_000;
/** Of one metric; a longer time gets longer slices. */
const SLICES_MAX = 500;
/** Differences of one slice that the report keeps; all are counted, and told as they are found. */
const NOTES_MAX = 1_000;
/** KairosDB's calendar ends here. */
export const EARLIEST_MS = -62_135_596_800_000;
export const LATEST_MS = 253_402_300_800_000;

export interface CompareParts {
  readonly a: KairosServer;
  readonly b: KairosServer;
  /** Gets every difference, again when a unit is done again. */
  found(difference: Difference): void;
  /** Told whenever a report is made. */
  total(total: CompareResult): void;
}

export function compareKairosKind(parts: CompareParts): JobKind<CompareInput> {
  const { a, b } = parts;
  return {
    name: 'compare-kairos',
    noun: 'slices',
    title: (input) => `${input.a} with ${input.b}`,

    async *plan(input, { signal }): AsyncGenerator<PlannedUnit> {
      const [left, right] = await Promise.all([a.metricNames(signal), b.metricNames(signal)]);
      const isWanted = (name: string) =>
        input.prefixes.length === 0 || input.prefixes.some((prefix) => name.startsWith(prefix));
      const [inA, inB] = [new Set(left.filter(isWanted)), new Set(right.filter(isWanted))];
      for (const metric of [...new Set([...inA, ...inB])].sort()) {
        const only = inA.has(metric) ? (inB.has(metric) ? undefined : 'a') : 'b';
        if (only !== undefined) {
          yield { name: `${metric}, its name`, work: { metric, only }, size: 1 };
        }
        const extents = await Promise.all([a, b].map((each) => each.extent(metric, input, signal)));
        const known = extents.filter((extent) => extent !== undefined);
        if (known.length === 0) continue;
        const firstMs = Math.min(...known.map((extent) => extent.firstMs));
        const lastMs = Math.max(...known.map((extent) => extent.lastMs));
        const sliceMs =
          input.sliceMs * Math.ceil((lastMs - firstMs + 1) / (input.sliceMs * SLICES_MAX));
        let fromMs = Math.floor(firstMs / sliceMs) * sliceMs;
        for (; fromMs <= lastMs; fromMs += sliceMs) {
          const work: SliceWork = {
            metric,
            fromMs: Math.max(fromMs, input.fromMs),
            toMs: Math.min(fromMs + sliceMs, input.toMs),
          };
          yield { name: `${metric} ${new Date(fromMs).toISOString()}`, work, size: 1 };
        }
      }
    },

    async run(unit, _input, { signal, progress }) {
      const { metric, fromMs, toMs, only } = unit.work as SliceWork;
      const result = { points: 0, differences: 0 };
      const notes: string[] = [];
      const report = (difference: Difference) => {
        result.differences++;
        if (notes.length < NOTES_MAX) notes.push(differenceText(difference));
        parts.found(difference);
      };
      if (fromMs === undefined || toMs === undefined) {
        report({ metric, ...(only === 'a' ? { a: [] } : { b: [] }) });
      } else {
        result.points = await compare(metric, { fromMs, toMs }, signal, report);
      }
      progress(1);
      return { done: 1, result, notes };
    },

    summary(outcomes) {
      let [points, differences] = [0, 0];
      for (const { result } of outcomes) {
        const of = result as unknown as CompareResult;
        points += of.points;
        differences += of.differences;
      }
      parts.total({ points, differences });
      return [`compared ${points} points, ${differences} differences`];
    },
  };

  /** Gives how many points there are, in whichever has more. */
  async function compare(
    metric: string,
    range: TimeRange,
    signal: AbortSignal,
    report: (difference: Difference) => void,
  ): Promise<number> {
    const counts = await Promise.all([a, b].map((each) => each.countPoints(metric, range, signal)));
    const { fromMs, toMs } = range;
    if (Math.max(...counts) > POINTS_MAX && toMs - fromMs > 1) {
      const middleMs = Math.floor((fromMs + toMs) / 2);
      const first = await compare(metric, { fromMs, toMs: middleMs }, signal, report);
      return first + (await compare(metric, { fromMs: middleMs, toMs }, signal, report));
    }
    if (Math.max(...counts) === 0) return 0;
    const [left = [], right = []] = await Promise.all(
      [a, b].map((each) => each.readSeries(metric, range, signal)),
    );
    for (const difference of differencesOf(metric, left, right)) report(difference);
    return Math.max(...counts);
  }
}
