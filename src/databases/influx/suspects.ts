/**
 * Whom a refusal accuses. The server names only its last reason and never a line number, so an accusation is
 * a way to cut the group in two and nothing more: each part is written again before anything is believed.
 */
import type { FieldValue, Point } from '../../model/index.ts';
import type { Verdict } from './verdict.ts';

/** One encoded point and its index in the batch. */
export interface Line {
  readonly index: number;
  readonly text: string;
  readonly point: Point;
}

type Refusal = Exclude<Verdict, { kind: 'stored' }>;

/** Two parts, neither empty, of a group of at least two. */
export function cutInTwo(
  group: readonly Line[],
  refusal: Refusal,
): readonly [readonly Line[], readonly Line[]] {
  const accuse = accusation(refusal);
  if (accuse) {
    const suspects: Line[] = [];
    const others: Line[] = [];
    for (const line of group) (accuse(line) ? suspects : others).push(line);
    if (suspects.length > 0 && others.length > 0) return [others, suspects];
  }
  // Refusals depend on a point's time (shard, retention), so neighbours in time share their fate.
  const sorted = [...group].sort((a, b) => compare(a.point.timestampNs, b.point.timestampNs));
  const half = sorted.length >> 1;
  return [sorted.slice(0, half), sorted.slice(half)];
}

function accusation(refusal: Refusal): ((line: Line) => boolean) | undefined {
  if (refusal.kind === 'malformed') {
    const named = linesNamed(refusal.message);
    return named.size === 0 ? undefined : ({ text }) => named.has(text);
  }
  if (refusal.kind === 'too-large') return undefined;
  switch (refusal.code) {
    case 'FIELD_TYPE_CONFLICT': {
      const said =
        /input field "(.*)" on measurement "(.*)" is type (\w+), already exists as type/s.exec(
          refusal.message,
        );
      if (!said) return undefined;
      const [, field = '', measurement, type] = said;
      return ({ point }) =>
        point.measurement === measurement &&
        Object.hasOwn(point.fields, field) &&
        typeName(point.fields[field]!) === type;
    }
    case 'OUTSIDE_RETENTION': {
      const boundMs = Date.parse(/Lower Bound at (\S+Z)/.exec(refusal.message)?.[1] ?? '');
      if (Number.isNaN(boundMs)) return undefined;
      const boundNs = BigInt(boundMs) * 1_000_000n;
      return ({ point }) => point.timestampNs < boundNs;
    }
    default:
      return undefined;
  }
}

function typeName(value: FieldValue): string {
  if (typeof value === 'bigint') return 'integer';
  return typeof value === 'number' ? 'float' : typeof value;
}

/** The lines in `unable to parse '<line>': <reason>`, of which there may be thousands in one message. */
function linesNamed(message: string): ReadonlySet<string> {
  const named = new Set<string>();
  for (const part of message.split("unable to parse '").slice(1)) {
    named.add(part.slice(0, part.lastIndexOf("': ")));
  }
  return named;
}

function compare(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
