/**
 * The part of MessagePack that InfluxDB writes: values, and where they end without making anything of them. Integers
 * are bigints, floats numbers.
 */
import { FatalError } from '../../model/index.ts';

/** Bytes of a value with its header, by its first byte; 0: an array, a map, or a length stands before it. */
const FIXED_BYTES = new Uint8Array(256);
for (let type = 0; type < 256; type++) {
  if (type < 0x80 || type >= 0xe0) FIXED_BYTES[type] = 1;
  else if (type >= 0xa0 && type < 0xc0) FIXED_BYTES[type] = 1 + (type & 0x1f);
}
// nil, false, true, float 32 and 64, unsigned and signed integers of 8 to 64 bits.
for (const type of [0xc0, 0xc2, 0xc3]) FIXED_BYTES[type] = 1;
for (const [type, bytes] of [
  [0xca, 5],
  [0xcb, 9],
  [0xcc, 2],
  [0xcd, 3],
  [0xce, 5],
  [0xcf, 9],
  [0xd0, 2],
  [0xd1, 3],
  [0xd2, 5],
  [0xd3, 9],
] as const) {
  FIXED_BYTES[type] = bytes;
}

/** Of binary and text, arrays, maps: bytes of the length, and values per item; 0: it counts bytes. */
const LENGTH_FORMS: Readonly<Record<number, { readonly bytes: number; readonly perItem: number }>> =
  {
    196: { bytes: 1, perItem: 0 },
    197: { bytes: 2, perItem: 0 },
    198: { bytes: 4, perItem: 0 },
    217: { bytes: 1, perItem: 0 },
    218: { bytes: 2, perItem: 0 },
    219: { bytes: 4, perItem: 0 },
    220: { bytes: 2, perItem: 1 },
    221: { bytes: 4, perItem: 1 },
    222: { bytes: 2, perItem: 2 },
    223: { bytes: 4, perItem: 2 },
  };

/** Cuts a stream of bytes into whole documents, looking at each byte's header once. */
export class DocumentSplitter {
  /** What no document ends in yet, and the room behind it in a buffer of our own, if any. */
  #held: Buffer = Buffer.alloc(0);
  #room = 0;
  /** Where the next value's header begins, and how many values the document still lacks. */
  #at = 0;
  #missing = 1;

  push(chunk: Uint8Array): readonly Buffer[] {
    const bytes = this.#with(chunk);
    const documents: Buffer[] = [];
    let begin = 0;
    for (;;) {
      const start = this.#at;
      if (!header.read(bytes, start)) break;
      this.#at = header.end;
      this.#missing += header.children - 1;
      if (this.#missing > 0) continue;
      if (this.#at > bytes.length) {
        // The last text or number is not whole yet: its header will be seen again.
        this.#at = start;
        this.#missing = 1;
        break;
      }
      documents.push(bytes.subarray(begin, this.#at));
      begin = this.#at;
      this.#missing = 1;
    }
    this.#held = bytes.subarray(begin);
    this.#at -= begin;
    return documents;
  }

  /** Room is doubled when there is none: a document that comes in many chunks is not copied with each of them. */
  #with(chunk: Uint8Array): Buffer {
    const held = this.#held;
    const { length } = held;
    if (length === 0) {
      this.#room = 0;
      return Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    }
    const needed = length + chunk.length;
    if (this.#room < chunk.length) {
      const larger = Buffer.allocUnsafeSlow(2 * needed);
      held.copy(larger);
      larger.set(chunk, length);
      this.#room = larger.length - needed;
      return larger.subarray(0, needed);
    }
    // Behind what is held lies nothing that anybody was given.
    const whole = Buffer.from(held.buffer, held.byteOffset, needed);
    whole.set(chunk, length);
    this.#room -= chunk.length;
    return whole;
  }

  /** Whether the stream ended between documents. */
  get isWhole(): boolean {
    return this.#held.length === 0;
  }
}

/** Of a value; one for all, since a reply has millions of them. */
class Header {
  /** Behind the value, or behind the header of an array or map. The value may end behind the bytes. */
  end = 0;
  children = 0;

  /** False when the header itself is not whole. */
  read(bytes: Buffer, at: number): boolean {
    if (at >= bytes.length) return false;
    const type = bytes[at] as number;
    const fixed = FIXED_BYTES[type] as number;
    if (fixed > 0) return this.#is(at + fixed, 0);
    if (type < 0x90) return this.#is(at + 1, (type & 0x0f) * 2);
    if (type < 0xa0) return this.#is(at + 1, type & 0x0f);
    const form = LENGTH_FORMS[type];
    if (form === undefined) throw unreadable(`a value of type 0x${type.toString(16)}`);
    const behind = at + 1 + form.bytes;
    if (behind > bytes.length) return false;
    const count = bytes.readUIntBE(at + 1, form.bytes);
    return form.perItem === 0
      ? this.#is(behind + count, 0)
      : this.#is(behind, count * form.perItem);
  }

  #is(end: number, children: number): true {
    this.end = end;
    this.children = children;
    return true;
  }
}

const header = new Header();

/** Behind the value that begins here, all of which is there. */
export function endOf(bytes: Buffer, at: number): number {
  const fixed = FIXED_BYTES[bytes[at] as number] as number;
  if (fixed > 0) return at + fixed;
  let end = at;
  let missing = 1;
  while (missing > 0) {
    header.read(bytes, end);
    end = header.end;
    missing += header.children - 1;
  }
  return end;
}

/** Reads values of a whole document, one after another. */
export class MsgpackReader {
  readonly #bytes: Buffer;
  /** Of the next value. */
  at: number;

  constructor(bytes: Buffer, at = 0) {
    this.#bytes = bytes;
    this.at = at;
  }

  /** `under` may read the value of a map's key itself, and then gives it. */
  value(under?: (key: string) => unknown): unknown {
    const bytes = this.#bytes;
    const type = bytes[this.at++] as number;
    if (type < 0x80) return BigInt(type);
    if (type >= 0xe0) return BigInt(type - 256);
    if (type < 0x90) return this.#map(type & 0x0f, under);
    if (type < 0xa0) return this.#array(type & 0x0f, under);
    if (type < 0xc0) return this.#text(type & 0x1f);
    switch (type) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xca:
        return bytes.readFloatBE(this.#skip(4));
      case 0xcb:
        return bytes.readDoubleBE(this.#skip(8));
      case 0xcc:
        return BigInt(bytes.readUInt8(this.#skip(1)));
      case 0xcd:
        return BigInt(bytes.readUInt16BE(this.#skip(2)));
      case 0xce:
        return BigInt(bytes.readUInt32BE(this.#skip(4)));
      case 0xcf:
        return bytes.readBigUInt64BE(this.#skip(8));
      case 0xd0:
        return BigInt(bytes.readInt8(this.#skip(1)));
      case 0xd1:
        return BigInt(bytes.readInt16BE(this.#skip(2)));
      case 0xd2:
        return BigInt(bytes.readInt32BE(this.#skip(4)));
      case 0xd3:
        return bytes.readBigInt64BE(this.#skip(8));
      case 0xc4:
      case 0xd9:
        return this.#text(bytes.readUInt8(this.#skip(1)));
      case 0xc5:
      case 0xda:
        return this.#text(bytes.readUInt16BE(this.#skip(2)));
      case 0xc6:
      case 0xdb:
        return this.#text(bytes.readUInt32BE(this.#skip(4)));
      case 0xdc:
        return this.#array(bytes.readUInt16BE(this.#skip(2)), under);
      case 0xdd:
        return this.#array(bytes.readUInt32BE(this.#skip(4)), under);
      case 0xde:
        return this.#map(bytes.readUInt16BE(this.#skip(2)), under);
      case 0xdf:
        return this.#map(bytes.readUInt32BE(this.#skip(4)), under);
      default:
        throw unreadable(`a value of type 0x${type.toString(16)}`);
    }
  }

  get isAtArray(): boolean {
    const type = this.#bytes[this.at] as number;
    return (type >= 0x90 && type < 0xa0) || type === 0xdc || type === 0xdd;
  }

  /** Passes the header of an array; gives its length. */
  open(): number {
    header.read(this.#bytes, this.at);
    this.at = header.end;
    return header.children;
  }

  #map(count: number, under: ((key: string) => unknown) | undefined): Record<string, unknown> {
    const map: Record<string, unknown> = {};
    for (let i = 0; i < count; i++) {
      const key = String(this.value());
      map[key] = under?.(key) ?? this.value(under);
    }
    return map;
  }

  #array(count: number, under: ((key: string) => unknown) | undefined): unknown[] {
    const values = new Array<unknown>(count);
    for (let i = 0; i < count; i++) values[i] = this.value(under);
    return values;
  }

  #text(length: number): string {
    const start = this.#skip(length);
    return this.#bytes.toString('utf8', start, start + length);
  }

  #skip(length: number): number {
    const start = this.at;
    this.at += length;
    return start;
  }
}

const unreadable = (what: string) =>
  new FatalError(`InfluxDB's reply holds ${what}, which no version known to us writes`, {
    code: 'REPLY_UNREADABLE',
  });
