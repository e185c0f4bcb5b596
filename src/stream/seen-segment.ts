/**
 * A segment of dedup's memory: the identities that one epoch added, as deltas, since the slots and times of
 * neighbours are close.
 *
 *   count varint, then per identity
 *     head varint      id · 2, + 1 when the number is written whole
 *     number           zigzag varint of the difference to the one before, or f64 when whole
 *     time zigzag varint of the difference to the one before
 */

/** Identities added since the last epoch; grows as needed and is used again. */
export class Additions {
  #ids = new Float64Array(1024);
  #numbers = new Float64Array(1024);
  #times = new Float64Array(1024);
  #count = 0;
  #lastTime = Number.NEGATIVE_INFINITY;

  get count(): number {
    return this.#count;
  }

  /** Latest event time among them. */
  get lastTime(): number {
    return this.#lastTime;
  }

  push(id: number, number: number, time: number): void {
    const at = this.#count;
    if (at === this.#ids.length) this.#grow();
    this.#ids[at] = id;
    this.#numbers[at] = number;
    this.#times[at] = time;
    if (time > this.#lastTime) this.#lastTime = time;
    this.#count = at + 1;
  }

  *ids(): Generator<number> {
    for (let i = 0; i < this.#count; i++) yield this.#ids[i] as number;
  }

  /** The segment's bytes; nothing is held after. */
  take(): Buffer {
    const bytes = Buffer.allocUnsafeSlow(5 + this.#count * (5 + 9 + 9));
    let at = writeVarint(bytes, 0, this.#count);
    let number = 0;
    let time = 0;
    for (let i = 0; i < this.#count; i++) {
      const n = this.#numbers[i] as number;
      const t = this.#times[i] as number;
      const plain = Number.isSafeInteger(n) && Math.abs(n - number) < 2 ** 50;
      at = writeVarint(bytes, at, (this.#ids[i] as number) * 2 + (plain ? 0 : 1));
      if (plain) at = writeVarint(bytes, at, zigzag(n - number));
      else at = bytes.writeDoubleBE(n, at);
      at = writeVarint(bytes, at, zigzag(t - time));
      number = plain ? n : 0;
      time = t;
    }
    this.#count = 0;
    this.#lastTime = Number.NEGATIVE_INFINITY;
    return Buffer.from(bytes.subarray(0, at));
  }

  #grow(): void {
    const grown = (column: Float64Array) => {
      const wider = new Float64Array(column.length * 2);
      wider.set(column);
      return wider;
    };
    this.#ids = grown(this.#ids);
    this.#numbers = grown(this.#numbers);
    this.#times = grown(this.#times);
  }
}

export function readSegment(
  bytes: Buffer,
  each: (id: number, number: number, time: number) => void,
): void {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = bytes[at++] as number;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
  };
  const count = varint();
  let number = 0;
  let time = 0;
  for (let i = 0; i < count; i++) {
    const head = varint();
    const whole = head % 2 === 1;
    let n: number;
    if (whole) {
      n = bytes.readDoubleBE(at);
      at += 8;
    } else n = number + unzigzag(varint());
    time += unzigzag(varint());
    each(Math.floor(head / 2), n, time);
    number = whole ? 0 : n;
  }
}

// Arithmetic, not bit operations: values exceed 32 bits.
const zigzag = (n: number): number => (n >= 0 ? n * 2 : -n * 2 - 1);
const unzigzag = (n: number): number => (n % 2 === 0 ? n / 2 : -(n + 1) / 2);

function writeVarint(bytes: Buffer, at: number, value: number): number {
  let rest = value;
  let end = at;
  while (rest >= 0x7fff_ffff) {
    bytes[end++] = (rest % 0x80) + 0x80;
    rest = Math.floor(rest / 0x80);
  }
  let small = rest | 0;
  while (small >= 0x80) {
    bytes[end++] = (small & 0x7f) | 0x80;
    small >>>= 7;
  }
  bytes[end++] = small;
  return end;
}
