/**
 * Tells a tie from a difference. KairosDB answers texts that several series have in one millisecond in any order, another
 * one each time (docs/guides/kairosdb-differences.md); so it is asked several times, and ours must be one of its answers
 * but for the order of such texts, and of nothing else.
 */
import { isDeepStrictEqual } from 'node:util';
import { isJson } from '../../../src/model/index.ts';

export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

interface Result {
  readonly group_by?: readonly { readonly name: string }[];
  readonly tags?: Readonly<Record<string, readonly string[]>>;
  readonly values?: readonly (readonly unknown[])[];
}

/** `wavers`: the reference's own answers are not all the same. */
export type Verdict = 'difference' | 'tie' | 'tie that wavers';

export function verdictOf(ours: Answer, theirs: readonly Answer[]): Verdict {
  const settled = settle(ours);
  if (!theirs.some((each) => isDeepStrictEqual(settle(each), settled))) return 'difference';
  const wavers = theirs.some((each) => !isDeepStrictEqual(each, theirs[0]));
  return wavers ? 'tie that wavers' : 'tie';
}

/** With what may come in any order in one order. */
function settle({ status, body }: Answer): Answer {
  const { queries } = (body ?? {}) as { queries?: readonly { readonly results?: Result[] }[] };
  if (status !== 200 || queries === undefined) return { status, body };
  return {
    status,
    body: {
      ...(body as object),
      queries: queries.map((query) => ({
        ...query,
        results: query.results?.map((result) => ({
          ...result,
          ...(result.values && { values: textsInOrder(result.values) }),
          ...(result.tags && hasUnorderedTags(result) && { tags: tagsInOrder(result.tags) }),
        })),
      })),
    },
  };
}

/** Texts of one millisecond among themselves; whatever is no text keeps its place. */
function textsInOrder(values: readonly (readonly unknown[])[]): (readonly unknown[])[] {
  const ordered: (readonly unknown[])[] = [];
  for (let from = 0; from < values.length; ) {
    let to = from + 1;
    const isText = (i: number) => typeof values[i]?.[1] === 'string';
    while (isText(from) && isText(to) && values[to]?.[0] === values[from]?.[0]) to++;
    ordered.push(...values.slice(from, to).sort((a, b) => (String(a[1]) < String(b[1]) ? -1 : 1)));
    from = to;
  }
  return ordered;
}

/** Behind these groupings the original collects tags in no order; kairos-diff lets it pass too. */
const hasUnorderedTags = ({ group_by = [] }: Result): boolean =>
  group_by.some(({ name }) => ['value', 'time', 'bin'].includes(name));

const tagsInOrder = (tags: NonNullable<Result['tags']>) =>
  Object.fromEntries(Object.entries(tags).map(([name, values]) => [name, [...values].sort()]));

/** One that kairos-diff has printed: the request with `${run}` for the names of its run. */
export interface PrintedDifference {
  readonly label: string;
  readonly path: string;
  /** Undefined when it was cut off in print. */
  readonly body: string | undefined;
}

/** What kairos-diff prints: `DIFFERS label`, the request, and where the answers part. */
export function printedDifferences(output: string): PrintedDifference[] {
  const printed = /^DIFFERS (.+)\n {2}request (\S+) (\S*) ?(.*)$/gm;
  return [...output.matchAll(printed)].map(([, label = '', , path = '', body = '']) => ({
    label,
    path,
    body: isJson(body) ? body : undefined,
  }));
}
