/**
 * Copies one time-series database into another: a unit per measurement × day × hour. An hour never spans two shards,
 * so within one a field has one type, and no query of an old server is larger than a page [F1–F3].
 *
 * Reading a unit overlaps with writing and checking those before it, while the source sees no more queries at once
 * than allowed, and the target gets parts in the order of time, so that each of its series comes in order. Points stay bytes
 * all the way; only where the target takes a part not just as it is are values made of it. Every unit is read back from
 * the target: its rows and the sum of their checksums must agree.
 */
import type { Rejection } from '../delivery/index.ts';
import {
  CHECKSUM_MODULO,
  FatalError,
  floorTo,
  HOUR_NS,
  type Point,
  PoisonError,
  RetriableError,
} from '../model/index.ts';
import type { JobKind, Json, UnitContext, UnitOutcome } from './contract.ts';
import { Gate } from './gate.ts';

interface Schema {
  readonly fields: readonly string[];
  readonly tags: readonly string[];
}

interface Slice {
  readonly measurement: string;
  readonly schema: Schema;
  readonly fromNs: bigint;
  readonly toNs: bigint;
  readonly maxRows: number;
}

interface Digest {
  readonly rows: number;
  /** Of the rows' checksums, modulo CHECKSUM_MODULO; of their order nothing depends. */
  readonly sum: number;
}

export interface CopySource {
  measurements(signal: AbortSignal): Promise<readonly string[]>;
  schema(measurement: string, signal: AbortSignal): Promise<Schema>;
  span(
    measurement: string,
    range: { readonly fromNs: bigint | undefined; readonly toNs: bigint },
    signal: AbortSignal,
  ): Promise<{ readonly firstNs: bigint; readonly lastNs: bigint } | undefined>;
  hours(
    measurement: string,
    range: { readonly fromNs: bigint; readonly toNs: bigint },
    signal: AbortSignal,
  ): Promise<readonly { readonly startNs: bigint; readonly points: number }[]>;
  /** By time. */
  lines(slice: Slice, signal: AbortSignal): AsyncIterable<CopyPart>;
}

/** Points on their way: as bytes, and one by one only where something is wrong with one of them. */
export interface CopyPart {
  readonly count: number;
  readonly firstNs: bigint;
  /** Of all checksums, modulo CHECKSUM_MODULO. */
  readonly sum: number;
  /** As the target takes them, all at once; undefined: one of them can't be written just as it is. */
  readonly bodies: readonly Uint8Array<ArrayBuffer>[] | undefined;
  points(): readonly Point[];
  /** One for each point. */
  sums(): readonly number[];
}

export interface CopyTarget {
  /** False when it would not take all of them as they are: then point by point. */
  writeLines(lines: Uint8Array<ArrayBuffer>, signal: AbortSignal): Promise<boolean>;
  write(points: readonly Point[], signal: AbortSignal): Promise<readonly Rejection[]>;
  /** Asks for all of the slice at once. */
  digest(slice: Omit<Slice, 'maxRows'>, signal: AbortSignal): Promise<Digest>;
  /** What the target stores under another name than the source, as text; undefined when it is exact. */
  altered(point: Point): string | undefined;
}

export type CopyInput = {
  /** For the title: where from and where to. */
  readonly from: string;
  readonly into: string;
  /** Names or patterns with *; empty: all. */
  readonly measurements: readonly string[];
  /** ns as text; half-open. */
  readonly since: string | null;
  readonly until: string;
};

type CopyWork = { readonly measurement: string; readonly fromNs: string; readonly toNs: string };

export interface CopyParts {
  readonly source: CopySource;
  readonly target: CopyTarget;
  /** Queries to the source at once. */
  readonly queriesMax: number;
  /** Rows that one query asks for, at most. */
  readonly maxRows: number;
}

const DAY_NS = 24n * HOUR_NS;
/** Parts on their way at once, of all units: a next one fills the pause in which the server syncs its log. */
const WRITES_MAX = 2;
/** Parts of one unit in memory besides the one that is read: on its way, and next. */
const PARTS_MAX = 2;
/** Pages that one query reads back, at most: with each the target looks up all series, and copies all it has in memory of them. */
const READ_BACK_PAGES = 2;
/** Points of a part that go one by one, given to the target at once. */
const POINTS_AT_ONCE = 10_000;
/** Examples of one kind of trouble in a unit's message. */
const EXAMPLES_MAX = 3;

/** Three units more than queries: while they read, others are written and checked, and none waits for one that ends. */
export const unitsAtOnce = (queriesMax: number): number => queriesMax + 3;

/** What holds of every copy, whichever two it joins. */
export const copyKind = {
  name: 'copy-influx',
  noun: 'points',
  title: ({ from, into }: CopyInput) => `${from} → ${into}`,
  summary: (outcomes: Iterable<UnitOutcome>) => {
    let rows = 0;
    for (const { result } of outcomes) rows += (result as { rows: number }).rows;
    return [`${rows} points read back from the target, equal in number and checksum`];
  },
};

export function copySeries({ source, target, queriesMax, maxRows }: CopyParts): JobKind<CopyInput> {
  const reading = new Gate(queriesMax);
  const writing = new Gate(WRITES_MAX);
  const schemas = new Map<string, Promise<Schema>>();
  const schemaOf = (measurement: string, signal: AbortSignal): Promise<Schema> => {
    const known = schemas.get(measurement) ?? source.schema(measurement, signal);
    schemas.set(measurement, known);
    known.catch(() => schemas.delete(measurement));
    return known;
  };
  return {
    ...copyKind,
    async *plan(input, { signal }) {
      for (const measurement of await chosen(source, input.measurements, signal)) {
        yield* unitsOf(source, measurement, input, signal);
      }
    },
    async run(unit, _, context) {
      const { measurement, fromNs, toNs } = unit.work as CopyWork;
      const { signal } = context;
      const leave = await reading.enter(signal);
      try {
        const range = { fromNs: BigInt(fromNs), toNs: BigInt(toNs) };
        const schema = await schemaOf(measurement, signal);
        const slice = { measurement, ...range, maxRows, schema };
        const copied = await copy(source, target, slice, { ...context, writing, read: leave });
        return await check(target, slice, copied, context);
      } finally {
        leave();
      }
    },
  };
}

async function chosen(
  source: CopySource,
  wanted: readonly string[],
  signal: AbortSignal,
): Promise<readonly string[]> {
  const all = await source.measurements(signal);
  if (wanted.length === 0) return all;
  const patterns = wanted.map((text) => ({ text, pattern: patternOf(text) }));
  for (const { text, pattern } of patterns) {
    if (!all.some((name) => pattern.test(name))) {
      throw new FatalError(
        `the source has no measurement ${JSON.stringify(text)}; there are: ${all.slice(0, 20).join(', ') || 'none'}`,
        { code: 'UNKNOWN_MEASUREMENT' },
      );
    }
  }
  return all.filter((name) => patterns.some(({ pattern }) => pattern.test(name)));
}

/** `cpu*` as a pattern for whole names. */
const patternOf = (text: string): RegExp =>
  new RegExp(
    `^${text
      .split('*')
      .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
      .join('[^]*')}$`,
  );

async function* unitsOf(
  source: CopySource,
  measurement: string,
  { since, until }: CopyInput,
  signal: AbortSignal,
) {
  const bounds = {
    fromNs: since === null ? undefined : BigInt(since),
    toNs: BigInt(until),
  };
  const span = await source.span(measurement, bounds, signal);
  if (span === undefined) return;
  const endNs = span.lastNs + 1n;
  for (let dayNs = floorTo(span.firstNs, DAY_NS); dayNs < endNs; dayNs += DAY_NS) {
    const day = { fromNs: max(dayNs, span.firstNs), toNs: min(dayNs + DAY_NS, endNs) };
    for (const { startNs, points } of await source.hours(measurement, day, signal)) {
      const work: CopyWork = {
        measurement,
        fromNs: String(max(startNs, day.fromNs)),
        toNs: String(min(startNs + HOUR_NS, day.toNs)),
      };
      yield { name: `${measurement} ${hourText(startNs)}`, work, size: points };
    }
  }
}

interface Copied {
  readonly digest: Digest;
  /** Where stretches begin that are read back by one query each. */
  readonly boundsNs: readonly bigint[];
  readonly altered: ReadonlyMap<string, number>;
  readonly refused: readonly string[];
  readonly refusedCount: number;
}

/** `read`: called when the source is asked no more, while the last writes are still on their way. */
async function copy(
  source: CopySource,
  target: CopyTarget,
  slice: Slice,
  { signal, progress, writing, read }: UnitContext & { readonly writing: Gate; read(): void },
): Promise<Copied> {
  let rows = 0;
  let sum = 0;
  const boundsNs = [slice.fromNs];
  let sinceBound = 0;
  let refusedCount = 0;
  const refused: string[] = [];
  const altered = new Map<string, number>();
  const failed = new AbortController();
  const inner = AbortSignal.any([signal, failed.signal]);
  const write = async (part: CopyPart) => {
    const leave = await writing.enter(inner);
    try {
      if (!(await isStored(part))) await writePoints(part.points(), part.sums());
    } finally {
      leave();
    }
    progress(part.count);
  };
  const isStored = async ({ bodies }: CopyPart): Promise<boolean> => {
    if (bodies === undefined) return false;
    const stored = await Promise.all(bodies.map((body) => target.writeLines(body, inner)));
    return stored.every(Boolean);
  };
  const writePoints = async (points: readonly Point[], sums: readonly number[]) => {
    for (let from = 0; from < points.length; from += POINTS_AT_ONCE) {
      const some = points.slice(from, from + POINTS_AT_ONCE);
      for (const point of some) {
        const how = target.altered(point);
        if (how !== undefined) altered.set(how, (altered.get(how) ?? 0) + 1);
      }
      for (const { index, message } of await target.write(some, inner)) {
        rows--;
        sum = (sum + CHECKSUM_MODULO - (sums[from + index] as number)) % CHECKSUM_MODULO;
        refusedCount++;
        if (refused.length < EXAMPLES_MAX) {
          refused.push(`${(some[index] as Point).timestampNs} ns: ${message}`);
        }
      }
    }
  };
  const writes = new Set<Promise<void>>();
  try {
    for await (const part of source.lines(slice, inner)) {
      rows += part.count;
      sum = (sum + part.sum) % CHECKSUM_MODULO;
      if (sinceBound + part.count > READ_BACK_PAGES * slice.maxRows) {
        boundsNs.push(part.firstNs);
        sinceBound = 0;
      }
      sinceBound += part.count;
      const written = write(part).catch((error: unknown) => failed.abort(error));
      writes.add(written);
      void written.then(() => writes.delete(written));
      while (writes.size >= PARTS_MAX) await Promise.race(writes);
      inner.throwIfAborted();
    }
    read();
    await Promise.all(writes);
    inner.throwIfAborted();
  } catch (error) {
    failed.abort(error);
    await Promise.all(writes);
    throw error;
  }
  return { digest: { rows, sum }, boundsNs, altered, refused, refusedCount };
}

/** Reads back what was written. */
async function check(
  target: CopyTarget,
  slice: Slice,
  { digest, boundsNs, altered, refused, refusedCount }: Copied,
  { signal, attempt }: UnitContext,
): Promise<UnitOutcome> {
  const found = { rows: 0, sum: 0 };
  for (const [i, fromNs] of boundsNs.entries()) {
    const part = { ...slice, fromNs, toNs: boundsNs[i + 1] ?? slice.toNs };
    const { rows, sum } = await target.digest(part, signal);
    found.rows += rows;
    found.sum = (found.sum + sum) % CHECKSUM_MODULO;
  }
  // Under another name a row has other bytes, so that only its presence can be told.
  const isSame = found.rows === digest.rows && (altered.size > 0 || found.sum === digest.sum);
  if (!isSame) {
    const what = `the target has ${found.rows} points where the source has ${digest.rows}${found.rows === digest.rows ? ', and other contents' : ''}`;
    // Once more: points may have come into the source meanwhile.
    if (attempt === 1) throw new RetriableError(what, { code: 'COPY_DIFFERENT' });
    throw new PoisonError(`${what}; was something else written to either?`, {
      code: 'COPY_DIFFERENT',
    });
  }
  if (refusedCount > 0) {
    throw new PoisonError(
      `the target refused ${refusedCount} of ${digest.rows + refusedCount} points, the others are stored and checked: ${refused.join('; ')}`,
      { code: 'POINTS_REFUSED' },
    );
  }
  const { measurement } = slice;
  const notes = [...altered].map(
    ([how, count]) => `${measurement} ${hourText(slice.fromNs)}: ${how} (${count} points)`,
  );
  return { done: digest.rows, notes, result: digest as unknown as Json };
}

const max = (a: bigint, b: bigint): bigint => (a > b ? a : b);
const min = (a: bigint, b: bigint): bigint => (a < b ? a : b);

/** `2026-01-31T13`. */
const hourText = (ns: bigint): string =>
  new Date(Number(floorTo(ns, HOUR_NS) / 1_000_000n)).toISOString().slice(0, 13);
