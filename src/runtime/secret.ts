/** A value that never prints: not in logs, JSON, template strings or inspect. Only `reveal` gives it back. */
import { createHash, timingSafeEqual } from 'node:crypto';
import { inspect } from 'node:util';

const HIDDEN = '[secret]';

export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  /** The value itself: call it where it is handed to the library that needs it, and keep no copy. */
  reveal(): string {
    return this.#value;
  }

  /** Whether `candidate` is the secret, in a time that depends on neither's contents nor length. */
  matches(candidate: string): boolean {
    return timingSafeEqual(fingerprint(this.#value), fingerprint(candidate));
  }

  toString(): string {
    return HIDDEN;
  }

  toJSON(): string {
    return HIDDEN;
  }

  [inspect.custom](): string {
    return HIDDEN;
  }
}

/** Equal lengths for the comparison, whatever the inputs' lengths. */
const fingerprint = (text: string): Buffer => createHash('sha256').update(text).digest();
