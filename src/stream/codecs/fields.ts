/**
 * The kinds of fields a record's schema is made of. Each says what it takes; everything else is rejected with
 * its code and a message that says what was expected.
 */

/** A problem with one value; the record is set aside with it. */
export interface Problem {
  /** One of the contract's codes: FIELD_INVALID, UNKNOWN_NETWORK, … */
  readonly code: string;
  readonly message: string;
}

export interface TextField<V extends string = string, O extends boolean = boolean> {
  readonly kind: 'text';
  readonly optional: O;
  /** Bytes in UTF-8. */
  readonly maxBytes: number;
  readonly pattern: RegExp | undefined;
  readonly oneOf: readonly V[] | undefined;
  readonly rejectCode: string;
}

export interface NumberField<O extends boolean = boolean> {
  readonly kind: 'integer' | 'number';
  readonly optional: O;
  /** Inclusive, both. */
  readonly min: number;
  readonly max: number;
  readonly rejectCode: string;
}

export type Field = TextField | NumberField;
export type Fields = Readonly<Record<string, Field>>;

type ValueOf<F> = F extends TextField<infer V> ? V : number;
type OptionalNames<F> = { [K in keyof F]: F[K] extends { optional: true } ? K : never }[keyof F];
type NumberNames<F> = { [K in keyof F]: F[K] extends NumberField ? K : never }[keyof F];
type Flat<T> = { [K in keyof T]: T[K] };

/** The row of a schema: a plain object; optional fields may be absent. */
export type RowOf<F> = Flat<
  { readonly [K in Exclude<keyof F, OptionalNames<F>>]: ValueOf<F[K]> } & {
    readonly [K in OptionalNames<F>]?: ValueOf<F[K]>;
  }
>;

/** The numbers of a row, as a cross-field rule sees them. */
export type NumbersOf<F> = Flat<Pick<RowOf<F>, NumberNames<F> & keyof RowOf<F>>>;

/** Names of fields that can be the event time: numbers that are never absent. */
export type TimestampNames<F> = {
  [K in keyof F]: F[K] extends NumberField<false> ? K : never;
}[keyof F] &
  string;

export interface TextOptions<V extends string = string> {
  readonly maxBytes: number;
  /** Must match somewhere: anchor it to mean the whole text. */
  readonly pattern?: RegExp;
  readonly oneOf?: readonly V[];
  /** Default FIELD_INVALID. */
  readonly rejectCode?: string;
  readonly optional?: boolean;
}

/** Well-formed text of at most `maxBytes` bytes of UTF-8. */
export function text<const V extends string>(
  options: TextOptions<V> & { readonly optional: true },
): TextField<V, true>;
export function text<const V extends string>(
  options: TextOptions<V> & { readonly optional?: false },
): TextField<V, false>;
export function text(options: TextOptions): TextField {
  const { maxBytes, pattern, oneOf, rejectCode = 'FIELD_INVALID', optional = false } = options;
  return {
    kind: 'text',
    optional,
    maxBytes,
    // A sticky or global expression would remember where the text before ended.
    pattern: pattern && new RegExp(pattern.source, pattern.flags.replace(/[gy]/g, '')),
    oneOf,
    rejectCode,
  };
}

export interface NumberOptions {
  /** Inclusive. */
  readonly min?: number;
  /** Inclusive. */
  readonly max?: number;
  /** Default FIELD_INVALID. */
  readonly rejectCode?: string;
  readonly optional?: boolean;
}

type Required = NumberOptions & { readonly optional?: false };
type Optional = NumberOptions & { readonly optional: true };

/** A whole number; by default one that a double holds exactly (up to 2^53 − 1 either side). */
export function integer(options?: Required): NumberField<false>;
export function integer(options: Optional): NumberField<true>;
export function integer(options: NumberOptions = {}): NumberField {
  const bounds = { min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER };
  return { kind: 'integer', optional: false, rejectCode: 'FIELD_INVALID', ...bounds, ...options };
}

/** A finite number. */
export function number(options?: Required): NumberField<false>;
export function number(options: Optional): NumberField<true>;
export function number(options: NumberOptions = {}): NumberField {
  const bounds = { min: -Number.MAX_VALUE, max: Number.MAX_VALUE };
  return { kind: 'number', optional: false, rejectCode: 'FIELD_INVALID', ...bounds, ...options };
}

/** Whether a parsed value is one of this field. */
export function accepts(field: Field, value: unknown): boolean {
  if (field.kind === 'text') {
    return (
      typeof value === 'string' &&
      (field.oneOf === undefined || field.oneOf.includes(value)) &&
      Buffer.byteLength(value) <= field.maxBytes &&
      value.isWellFormed() &&
      (field.pattern === undefined || field.pattern.test(value))
    );
  }
  return (
    typeof value === 'number' &&
    value >= field.min &&
    value <= field.max &&
    (field.kind === 'number' || Number.isInteger(value))
  );
}

/** What the field takes, in words: `a whole number from 0 to 10`. */
export function expectation(field: Field): string {
  if (field.kind === 'text') {
    if (field.oneOf !== undefined) return `one of ${field.oneOf.join(', ')}`;
    const matching = field.pattern === undefined ? '' : ` matching ${field.pattern}`;
    return `text of at most ${field.maxBytes} bytes${matching}`;
  }
  const what = field.kind === 'integer' ? 'a whole number' : 'a number';
  return `${what} from ${field.min} to ${field.max}`;
}

/** What is wrong with a value that the field does not accept; undefined = the field is missing. */
export function problemOf(name: string, field: Field, value: unknown): Problem {
  const expected = `expected ${expectation(field)}`;
  const message =
    value === undefined
      ? `${name}: missing; ${expected}`
      : `${name}: ${expected}, got ${excerpt(JSON.stringify(value))}`;
  return { code: value === undefined ? 'FIELD_INVALID' : field.rejectCode, message };
}

const EXCERPT_MAX = 80;

/** The beginning of a value, for messages. */
export function excerpt(text: string): string {
  return text.length <= EXCERPT_MAX ? text : `${text.slice(0, EXCERPT_MAX)}…`;
}
