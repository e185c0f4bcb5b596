/** What a KairosDB answers, read so that no two different values look alike, and checked: it may be anything else. */
import { FatalError } from '../../model/index.ts';

/** KairosDB writes smaller whole doubles as longs: 2.0 as 2. */
const EXPONENT_FROM = 1e7;

/** Doubles that are whole and told apart from longs: -0, and from 10^7 on. Printed with their point: `-0.0`. */
export class WholeDouble {
  readonly #value: number;

  constructor(value: number) {
    this.#value = value;
  }

  toString(): string {
    const text = Object.is(this.#value, -0) ? '-0' : String(this.#value);
    return text.includes('e') ? text : `${text}.0`;
  }

  toJSON(): string {
    return this.toString();
  }
}

export type Value = number | bigint | WholeDouble | string | null;

export interface Answer {
  readonly queries: readonly {
    readonly sample_size: number;
    readonly results: readonly {
      readonly tags: Readonly<Record<string, readonly string[]>>;
      /** Absent in answers about tags alone. */
      readonly values?: readonly (readonly [timestampMs: number, value: Value])[];
    }[];
  }[];
}

/** Throws FatalError when the text is no JSON. */
export function readAnswer(where: string, text: string): unknown {
  try {
    return JSON.parse(text, exactly as (key: string, value: unknown) => unknown);
  } catch (error) {
    throw new FatalError(`${where} does not answer with JSON: is it a KairosDB?`, {
      code: 'COMPARE_REFUSED',
      cause: error,
    });
  }
}

function exactly(_key: string, value: unknown, context?: { source?: string }): unknown {
  if (typeof value !== 'number' || !Number.isInteger(value)) return value;
  const source = context?.source ?? '';
  if (Object.is(value, -0)) return new WholeDouble(value);
  if (/[.eE]/.test(source)) return Math.abs(value) < EXPONENT_FROM ? value : new WholeDouble(value);
  return Number.isSafeInteger(value) ? value : BigInt(source);
}

export function namesOf(where: string, json: unknown): readonly string[] {
  const names = membersOf(json).results;
  if (Array.isArray(names) && names.every((name) => typeof name === 'string')) return names;
  throw noKairos(where);
}

export function answerOf(where: string, json: unknown): Answer {
  const { queries } = membersOf(json);
  if (Array.isArray(queries) && queries.every(isQuery)) return json as Answer;
  throw noKairos(where);
}

function isQuery(json: unknown): boolean {
  const { sample_size: size, results } = membersOf(json);
  return (
    (size === undefined || typeof size === 'number') &&
    Array.isArray(results) &&
    results.every((result) => {
      const { tags, values } = membersOf(result);
      return (
        Object.values(membersOf(tags)).every(Array.isArray) &&
        (values === undefined || (Array.isArray(values) && values.every(isPair)))
      );
    })
  );
}

const isPair = (json: unknown): boolean =>
  Array.isArray(json) && json.length === 2 && typeof json[0] === 'number';

const membersOf = (json: unknown): Readonly<Record<string, unknown>> =>
  typeof json === 'object' && json !== null ? (json as Record<string, unknown>) : {};

const noKairos = (where: string): FatalError =>
  new FatalError(`${where} answers with other JSON than a KairosDB's: is it one?`, {
    code: 'COMPARE_REFUSED',
  });
