/** A place in the alerts file: takes values apart and says what is wrong where. Values are never quoted in full: some are secrets. */
import { FatalError } from '../model/index.ts';
import { nearest } from '../runtime/index.ts';

export class Place {
  readonly #file: string;
  readonly #path: string;

  constructor(file: string, path: string) {
    this.#file = file;
    this.#path = path;
  }

  at(key: string): Place {
    return new Place(this.#file, this.#path === '' ? key : `${this.#path}.${key}`);
  }

  get name(): string {
    return this.#path === '' ? this.#file : `${this.#path} in ${this.#file}`;
  }

  /** `keys`: those that may be there; absent: any. */
  object(given: unknown, keys?: readonly string[]): Record<string, unknown> {
    if (typeof given !== 'object' || given === null || Array.isArray(given)) {
      throw this.invalid('an object', given);
    }
    for (const key of Object.keys(given)) {
      if (keys !== undefined && !keys.includes(key)) throw this.at(key).unknown(key, keys, 'key');
    }
    return given as Record<string, unknown>;
  }

  list(given: unknown): readonly unknown[] {
    if (Array.isArray(given)) return given;
    throw this.invalid('a list', given);
  }

  text(given: unknown): string {
    if (typeof given === 'string' && given !== '' && given.length <= 2_000) return given;
    throw this.invalid('a text', given);
  }

  word(given: unknown, words: readonly string[]): string {
    if (typeof given === 'string' && words.includes(given)) return given;
    const near = typeof given === 'string' ? `; did you mean ${nearest(given, words)}?` : '';
    throw this.invalid(`one of ${words.join(', ')}${near}`, given);
  }

  flag(given: unknown, otherwise: boolean): boolean {
    if (given === undefined) return otherwise;
    if (typeof given === 'boolean') return given;
    throw this.invalid('true or false', given);
  }

  /** null takes a threshold away. */
  number(
    given: unknown,
    otherwise: number | null,
    least = Number.NEGATIVE_INFINITY,
    most = Number.POSITIVE_INFINITY,
  ): number | null {
    if (given === undefined) return otherwise;
    if (given === null && otherwise !== undefined) return null;
    if (typeof given === 'number' && Number.isFinite(given) && given >= least && given <= most) {
      return given;
    }
    throw this.invalid(
      least === Number.NEGATIVE_INFINITY ? 'a number' : `a number from ${least} on`,
      given,
    );
  }

  invalid(expected: string, given: unknown): FatalError {
    const kind = given === null ? 'null' : Array.isArray(given) ? 'a list' : typeof given;
    const shown =
      typeof given === 'number' ? String(given) : kind === 'undefined' ? 'nothing' : kind;
    return new FatalError(`${this.name}: expected ${expected}, got ${shown}`, {
      code: 'CONFIG_INVALID',
    });
  }

  unknown(key: string, known: Iterable<string>, what: string): FatalError {
    const near = nearest(key, known);
    return new FatalError(
      `${this.name}: there is no ${what} ${JSON.stringify(key)}; did you mean ${near}?`,
      { code: 'CONFIG_UNKNOWN_KEY' },
    );
  }
}
