/**
 * What dedup remembers: for each identity (a text and a number) the event time of the first record that had
 * it. As a state store it is a log of segments: each epoch writes what it added, and a segment is removed when
 * all in it is past remembering.
 *
 * State entries
 *   'n' id u32           → the text with that id
 *   's' segment u32      → see seen-segment.ts
 */
import type { PutState, StateStore } from '../state/index.ts';
import { Additions, readSegment } from './seen-segment.ts';
import { SequenceTimes } from './sequence-times.ts';

const NAME = 0x6e;
const SEGMENT = 0x73;
/** Texts are swept when there are this many, or twice as many as the last sweep left. */
const TEXTS_BEFORE_SWEEP = 100_000;
export class Seen implements StateStore {
  readonly #withinMs: number;
  readonly #keepMs: number;
  readonly #times = new SequenceTimes();
  readonly #texts: (string | undefined)[] = [];
  readonly #idByText = new Map<string, number>();
  #newTexts: number[] = [];
  #forgottenTexts: number[] = [];
  #sweepAt = TEXTS_BEFORE_SWEEP;
  /** Grows when ids were given up: whoever caches an id by text must ask again. */
  generation = 0;
  readonly #added = new Additions();
  #segments: { readonly number: number; readonly lastTime: number }[] = [];
  #nextSegment = 0;
  #restoring: { readonly number: number; readonly value: Buffer }[] = [];
  #watermark = Number.NEGATIVE_INFINITY;

  /** Remembers an identity until the watermark is `keepMs` past its first time; equal within `withinMs`. */
  constructor(withinMs: number, keepMs: number) {
    this.#withinMs = withinMs;
    this.#keepMs = keepMs;
  }

  idOf(text: string): number {
    let id = this.#idByText.get(text);
    if (id === undefined) {
      id = this.#texts.length;
      this.#texts.push(text);
      this.#idByText.set(text, id);
      this.#newTexts.push(id);
      this.#times.admit(id);
    }
    return id;
  }

  /**
   * The time of the first record with this identity when `time` is within reach of it; else NaN, and this
   * record is the first from now on. `watermark` is the partition's at this record.
   */
  firstTime(id: number, number: number, time: number, watermark: number): number {
    const times = this.#times;
    if (times.isHighest(id, number)) {
      times.append(id, number, time, watermark - this.#keepMs);
    } else {
      const first = times.find(id, number);
      // A comparison with NaN (never seen) is false.
      if (watermark - first <= this.#keepMs && Math.abs(time - first) <= this.#withinMs)
        return first;
      times.put(id, number, time, watermark - this.#keepMs);
    }
    this.#added.push(id, number, time);
    return Number.NaN;
  }

  /** Called at the end of each batch, so that draining knows what is past remembering. */
  advance(watermark: number): void {
    if (watermark > this.#watermark) this.#watermark = watermark;
    if (this.#idByText.size >= this.#sweepAt) this.#sweepTexts();
  }

  restore(key: Buffer, value: Buffer): void {
    const number = key.readUInt32BE(1);
    if (key[0] === NAME) {
      this.#texts[number] = value.toString();
      this.#idByText.set(value.toString(), number);
      this.#times.admit(number);
    } else this.#restoring.push({ number, value: Buffer.from(value) });
  }

  restored(): void {
    // Segments in the order they were written: a later first replaces an earlier one.
    for (const { number, value } of this.#restoring.sort((a, b) => a.number - b.number)) {
      this.#nextSegment = Math.max(this.#nextSegment, number + 1);
      let lastTime = Number.NEGATIVE_INFINITY;
      readSegment(value, (id, n, time) => {
        this.#place(id, n, time);
        if (time > lastTime) lastTime = time;
      });
      this.#segments.push({ number, lastTime });
    }
    this.#restoring = [];
  }

  drain(put: PutState): void {
    for (const id of this.#forgottenTexts) put(keyOf(NAME, id), null);
    this.#forgottenTexts = [];
    for (const id of this.#newTexts) {
      const text = this.#texts[id];
      if (text !== undefined) put(keyOf(NAME, id), Buffer.from(text));
    }
    this.#newTexts = [];
    if (this.#added.count > 0) {
      const number = this.#nextSegment++;
      const { lastTime } = this.#added;
      put(keyOf(SEGMENT, number), this.#added.take());
      this.#segments.push({ number, lastTime });
    }
    this.#segments = this.#segments.filter(({ number, lastTime }) => {
      const live = this.#watermark - lastTime <= this.#keepMs;
      if (!live) put(keyOf(SEGMENT, number), null);
      return live;
    });
  }

  #place(id: number, number: number, time: number): void {
    this.#times.admit(id);
    if (this.#times.isHighest(id, number))
      this.#times.append(id, number, time, Number.NEGATIVE_INFINITY);
    else {
      this.#times.find(id, number);
      this.#times.put(id, number, time, Number.NEGATIVE_INFINITY);
    }
  }

  /** Gives up the texts that no remembered identity uses, so that ever new texts don't fill the memory. */
  #sweepTexts(): void {
    const unused = this.#times.drop(this.#watermark - this.#keepMs);
    // What this epoch added stands in the segment that is still to be written.
    for (const id of this.#added.ids()) unused.delete(id);
    for (const [text, id] of this.#idByText) {
      if (!unused.has(id)) continue;
      this.#idByText.delete(text);
      this.#texts[id] = undefined;
      this.#forgottenTexts.push(id);
      this.#times.release(id);
    }
    this.#sweepAt = Math.max(TEXTS_BEFORE_SWEEP, this.#idByText.size * 2);
    this.generation++;
  }
}

function keyOf(kind: number, number: number): Buffer {
  const key = Buffer.allocUnsafe(5);
  key[0] = kind;
  key.writeUInt32BE(number, 1);
  return key;
}
