/**
 * Machine code for one layout: when many records had the same fields in the same order with the same bytes between
 * their values, a function is generated that expects just that, with those bytes as constants. What differs goes
 * to the record parser, from the place on where it differs. The generated text is made of numbers only: positions,
 * field numbers and bytes that were seen, so no name or text can get into it.
 */
import { type ByteView, viewOf, wordsOf } from '../dictionary.ts';
import { type FieldTarget, type LayoutStep, readNumber } from './record-parser.ts';

const CLOSE = 0x7d;
/** Generated functions are shared between decoders and kept; with so many there is something else wrong. */
const READERS_MAX = 200;
const readers = new Map<string, LayoutReader>();

/** Goes on with a record where it differs: at its gap `at`, behind field `state`, with the `seen` fields read. */
export type ReadOn = (row: number, at: number, end: number, state: number, seen: number) => void;

/** Reads the records `starts[row] … ends[row]` into the targets' cells; `readOn` is called for each that differs. */
export type LayoutReader = (
  source: ByteView,
  targets: readonly FieldTarget[],
  starts: Int32Array,
  ends: Int32Array,
  count: number,
  readOn: ReadOn,
) => void;

/** The reader of records of this layout, always the same; undefined where code can't be generated. */
export function layoutReader(
  steps: readonly LayoutStep[],
  targets: readonly FieldTarget[],
): LayoutReader | undefined {
  if (steps.length === 0) return undefined;
  const text = generate(steps, targets);
  const known = readers.get(text);
  if (known !== undefined || readers.size >= READERS_MAX) return known;
  try {
    const reader = new Function('number', text)(readNumber) as LayoutReader;
    readers.set(text, reader);
    return reader;
  } catch (error) {
    // Node was started with --disallow-code-generation-from-strings; the parser does it all, slower.
    if (error instanceof EvalError) return undefined;
    throw error;
  }
}

function generate(steps: readonly LayoutStep[], targets: readonly FieldTarget[]): string {
  const required = bitsOf([...targets.keys()].filter((i) => !targets[i]?.field.optional));
  const begin = targets.length;
  const lines = steps.map(({ field, gap }, i) => {
    const state = steps[i - 1]?.field ?? begin;
    const seen = bitsOf(steps.slice(0, i).map((step) => step.field));
    const differs = `{ readOn(row, from, end, ${state}, ${seen}); continue; }`;
    const complete = ((seen | (1 << field)) & required) === required;
    return `
    from = at;
    if (${gapDiffers(gap)}) ${differs}
    at += ${gap.length};
    ${readValue(field, targets[field] as FieldTarget, differs)}
    ${complete ? `if (at + 1 === end && bytes[at] === ${CLOSE}) continue;` : ''}`;
  });
  const last = steps.at(-1)?.field;
  return `'use strict';
return (source, targets, starts, ends, count, readOn) => {
  const { bytes, view } = source;
  ${steps.map(({ field }) => cells(field, targets[field] as FieldTarget)).join('\n  ')}
  for (let row = 0; row < count; row++) {
    const end = ends[row];
    let at = starts[row];
    let from = at;
    let code = 0;
    let value = 0;
    ${lines.join('')}
    readOn(row, at, end, ${last}, ${bitsOf(steps.map((step) => step.field))});
  }
};`;
}

const cells = (field: number, { isText }: FieldTarget) =>
  isText
    ? `const dictionary${field} = targets[${field}].dictionary, codes${field} = targets[${field}].codes;`
    : `const numbers${field} = targets[${field}].numbers;`;

/** Gaps have 8 bytes or more, so all their words are float64. */
function gapDiffers(gap: Uint8Array): string {
  const words = wordsOf(viewOf(Buffer.from(gap)));
  const compared = words.map(
    (word, i) => `view.getFloat64(at + ${Math.min(8 * i, gap.length - 8)}, true) !== ${word}`,
  );
  return [`at + ${gap.length} > end`, ...compared].join(' || ');
}

function readValue(field: number, target: FieldTarget, differs: string): string {
  if (target.isText) {
    return `code = dictionary${field}.match(source, at, end);
    if (code < 0) ${differs}
    codes${field}[row] = code;
    at += dictionary${field}.lengthOf(code) + 1;`;
  }
  const whole = target.isWhole ? ' && Math.floor(value) === value' : '';
  return `at = number(source, at, end, numbers${field}, row);
    if (at < 0) ${differs}
    value = numbers${field}[row];
    if (!(value >= ${target.min} && value <= ${target.max}${whole})) ${differs}`;
}

function bitsOf(fields: Iterable<number>): number {
  let bits = 0;
  for (const field of fields) bits |= 1 << field;
  return bits;
}
