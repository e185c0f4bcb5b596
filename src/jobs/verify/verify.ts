/**
 * Verifies a sink against its topics: hour by hour of event time, what its feed makes of the log and what the
 * database holds, by count, by a hash that no order changes, and point by point. Catches what a database lost
 * quietly. With `repair` the points that are missing or different are written again, and the hour is compared once
 * more. Nothing is ever deleted: a point that the log knows nothing of is told and left.
 */
import type { Broker } from '../../broker/index.ts';
import { FatalError, hours, minutes } from '../../model/index.ts';
import { nearest, Type } from '../../runtime/index.ts';
import { acceptedAs } from '../accept.ts';
import type { JobKind, Json, PlannedUnit, UnitOutcome } from '../contract.ts';
import { type Comparison, compare, isEqual, type VerifyWork } from './compare.ts';
import type { VerifiedSink } from './contract.ts';
import { boundsOf, LogIndex } from './feed-log.ts';

export interface VerifyParts {
  readonly broker: Broker;
  readonly sinks: () => readonly VerifiedSink[];
}

/** As it is asked for over HTTP and by the command. */
export interface VerifyRequest {
  readonly sink: string;
  /** ms; half-open. Default: all that the log has. */
  readonly from?: number;
  readonly to?: number;
  readonly repair?: boolean;
}

export type VerifyInput = {
  readonly sink: string;
  readonly fromMs: number | null;
  readonly toMs: number | null;
  readonly repair: boolean;
};

/** What came of one stretch; differences are those that remain. */
export type VerifyResult = {
  readonly fromMs: number;
  readonly toMs: number;
  readonly expected: number;
  readonly stored: number;
  readonly expectedHash: string;
  readonly storedHash: string;
  readonly missing: number;
  readonly different: number;
  readonly extra: number;
  readonly waiting: number;
  readonly expired: number;
  readonly refused: number;
  readonly beyondLog: number;
  /** Points written again. */
  readonly repaired: number;
};

/** Points of one unit, at most, unless one minute alone has more: what is in memory at once. */
const POINTS_MAX = 200_000;
const WRITE_POINTS = 5_000;
/** Points named per unit and kind of difference. */
const EXAMPLES_MAX = 10;
const HOUR_MS = hours(1);
const MINUTE_MS = minutes(1);

const requestSchema = Type.Object(
  {
    sink: Type.String(),
    from: Type.Optional(Type.Integer()),
    to: Type.Optional(Type.Integer()),
    repair: Type.Optional(Type.Boolean()),
  },
  { additionalProperties: false },
);

export function verifyKind(parts: VerifyParts): JobKind<VerifyInput> {
  const { broker } = parts;
  return {
    name: 'verify',
    noun: 'points',
    title: ({ sink, fromMs, toMs, repair }) =>
      `${sink} ${fromMs === null ? '…' : timeText(fromMs)} – ${toMs === null ? '…' : timeText(toMs)}${repair ? ', repaired' : ''}`,
    accept: async (asked) => inputOf(parts, asked),
    plan: (input, { signal }) => planOf(broker, sinkOf(parts, input.sink), input, signal),
    async run(unit, input, { signal, progress }) {
      const sink = sinkOf(parts, input.sink);
      const work = unit.work as VerifyWork;
      let comparison = await compare(broker, sink, work, signal);
      let repaired = 0;
      if (input.repair && comparison.missing.length + comparison.different.length > 0) {
        repaired = await repair(sink, comparison, signal);
        comparison = await compare(broker, sink, work, signal);
      }
      progress(comparison.expected.points);
      return outcomeOf(sink, unit, comparison, repaired);
    },
    summary: summaryOf,
  };
}

function inputOf(parts: VerifyParts, asked: unknown): VerifyInput {
  const { sink, from, to, repair = false }: VerifyRequest = acceptedAs(requestSchema, asked);
  if (from !== undefined && to !== undefined && from >= to) {
    throw new FatalError(`the range ${from} … ${to} ms is empty; from must lie before to`, {
      code: 'RANGE_INVALID',
    });
  }
  return { sink: sinkOf(parts, sink).name, fromMs: from ?? null, toMs: to ?? null, repair };
}

function sinkOf(parts: VerifyParts, name: string): VerifiedSink {
  const sinks = parts.sinks();
  const found = sinks.find((sink) => sink.name === name);
  if (found !== undefined) return found;
  const names = sinks.map((sink) => sink.name);
  const close = nearest(name, names);
  throw new FatalError(
    `no sink that can be verified is named "${name}"${close === undefined ? '' : `; did you mean "${close}"?`} There are: ${names.join(', ') || 'none configured'}`,
    { code: 'UNKNOWN_SINK' },
  );
}

async function* planOf(
  broker: Broker,
  sink: VerifiedSink,
  input: VerifyInput,
  signal: AbortSignal,
): AsyncGenerator<PlannedUnit> {
  const bounds = await boundsOf(broker, sink, input.fromMs ?? undefined);
  const wanted = {
    fromMs: input.fromMs ?? Number.NEGATIVE_INFINITY,
    toMs: input.toMs ?? Number.POSITIVE_INFINITY,
  };
  const index = await LogIndex.read(broker, sink, bounds, wanted, signal);
  // What lies before the range is there for dedup alone.
  const known = index.minutes.filter((minute) => minute + MINUTE_MS > wanted.fromMs);
  const lastMs = known.at(-1);
  const fromMs = input.fromMs ?? known[0];
  const toMs = input.toMs ?? (lastMs === undefined ? undefined : lastMs + MINUTE_MS);
  if (fromMs === undefined || toMs === undefined) return;
  const unitOf = (from: number, to: number, size: number): PlannedUnit => {
    const work: VerifyWork = {
      fromMs: from,
      toMs: to,
      names: [...index.names],
      reads: size === 0 ? [] : index.stretchesOf(from, to),
      tails: bounds.tails,
      wholeFromMs: Number.isFinite(index.wholeFromMs) ? index.wholeFromMs : null,
    };
    const isHour = to - from === HOUR_MS;
    return { name: isHour ? timeText(from) : `${timeText(from)} – ${timeText(to)}`, work, size };
  };
  for (const { from, to, size } of slices(index, known, fromMs, toMs)) yield unitOf(from, to, size);
}

interface Slice {
  readonly from: number;
  readonly to: number;
  readonly size: number;
}

/** Hours, cut where one holds too many points; empty ones that follow each other are one slice. */
function* slices(
  index: LogIndex,
  known: readonly number[],
  fromMs: number,
  toMs: number,
): Generator<Slice> {
  let doneMs = fromMs;
  for (const [hour, minutes] of byHour(known)) {
    const [start, end] = [Math.max(hour, fromMs), Math.min(hour + HOUR_MS, toMs)];
    if (start >= end) continue;
    if (start > doneMs) yield { from: doneMs, to: start, size: 0 };
    let from = start;
    let size = 0;
    for (const minute of minutes) {
      const points = index.pointsIn(minute);
      if (size > 0 && size + points > POINTS_MAX && minute > start) {
        yield { from, to: minute, size };
        from = minute;
        size = 0;
      }
      size += points;
    }
    yield { from, to: end, size };
    doneMs = end;
  }
  if (doneMs < toMs) yield { from: doneMs, to: toMs, size: 0 };
}

/** Minutes in ascending order, by the hours that they lie in. */
function byHour(minutes: readonly number[]): ReadonlyMap<number, readonly number[]> {
  const hours = new Map<number, number[]>();
  for (const minute of minutes) {
    const hour = Math.floor(minute / HOUR_MS) * HOUR_MS;
    const known = hours.get(hour);
    if (known === undefined) hours.set(hour, [minute]);
    else known.push(minute);
  }
  return hours;
}

/** Points land on themselves, so that a repair that died half-way is done again. */
async function repair(
  sink: VerifiedSink,
  { missing, different }: Comparison<unknown>,
  signal: AbortSignal,
): Promise<number> {
  const points = [...missing, ...different.map(({ expected }) => expected)];
  for (let at = 0; at < points.length; at += WRITE_POINTS) {
    await sink.port.write(points.slice(at, at + WRITE_POINTS), signal);
  }
  return points.length;
}

function outcomeOf(
  { points: form }: VerifiedSink,
  unit: PlannedUnit,
  comparison: Comparison<unknown>,
  repaired: number,
): UnitOutcome {
  const { fromMs, toMs } = unit.work as VerifyWork;
  const { expected, stored, missing, different, extra, extraCount } = comparison;
  const { waiting, expired, refused, beyondLog } = comparison;
  const result: VerifyResult = {
    fromMs,
    toMs,
    expected: expected.points,
    stored: stored.points,
    expectedHash: hashText(expected.hash),
    storedHash: hashText(stored.hash),
    missing: missing.length,
    different: different.length,
    extra: extraCount,
    waiting,
    expired,
    refused,
    beyondLog,
    repaired,
  };
  const notes: string[] = [];
  const some = <T>(all: readonly T[], text: (one: T) => string) => {
    for (const one of all.slice(0, EXAMPLES_MAX)) notes.push(text(one));
  };
  if (!isEqual(comparison)) {
    some(missing, (p) => `missing: ${form.identity(p)} ${form.value(p)}`);
    some(
      different,
      (d) =>
        `different: ${form.identity(d.stored)} ${form.value(d.stored)}, expected ${form.value(d.expected)}`,
    );
    some(extra, (p) => `extra: ${form.identity(p)} ${form.value(p)}`);
  }
  return { done: expected.points, notes, result };
}

function summaryOf(outcomes: Iterable<UnitOutcome>): readonly string[] {
  const sums = new Map<keyof VerifyResult, number>();
  for (const { result } of outcomes) {
    for (const [name, value] of Object.entries(result as VerifyResult & Json)) {
      if (typeof value !== 'number') continue;
      const key = name as keyof VerifyResult;
      sums.set(key, (sums.get(key) ?? 0) + value);
    }
  }
  const of = (name: keyof VerifyResult) => sums.get(name) ?? 0;
  const left = of('missing') + of('different') + of('extra');
  const lines = [
    left === 0
      ? `${of('expected')} points of the log compared: the sink holds exactly these`
      : `${of('expected')} points of the log compared: ${of('missing')} missing, ${of('different')} different, ${of('extra')} that the log knows nothing of`,
  ];
  const tell = (name: keyof VerifyResult, text: string) => {
    if (of(name) > 0) lines.push(`${of(name)} ${text}`);
  };
  tell('repaired', 'points were written again');
  tell('waiting', 'points left out: the sink is still to write them, or just did');
  tell('expired', 'points left out: older than the database keeps');
  tell('refused', 'points left out: the database can never store them (dead letters)');
  tell('beyondLog', 'stored points left out: the log no longer has their records');
  return lines;
}

const hashText = (hash: number): string => hash.toString(16).padStart(13, '0');

/** `2026-01-31T13:00Z`, finer where it must be. */
function timeText(ms: number): string {
  const date = new Date(ms);
  if (Number.isNaN(date.getTime())) return `${ms} ms`;
  return date.toISOString().replace(/(?::00)?\.000Z$/, 'Z');
}
