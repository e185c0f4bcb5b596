/**
 * Nanoseconds for events known to the millisecond, so that two events of one series in one millisecond are
 * two points and an event sent twice is one. Stored data depends on this hash: it must never change.
 */

const NS_PER_MS = 1_000_000;

/**
 * The millisecond in ns plus an offset of 0 … 999,999 ns that follows from `identity` alone (for a vote
 * `voteAccount:slot`): FNV-1a 64 of its UTF-8, modulo 10^6. Two events of one *series* in one millisecond
 * collide with odds of 1 in 10^6, k of them with about k² / (2 × 10^6); events of different series never do.
 */
export function pointTimestampNs(timestampMs: number, identity: string): bigint {
  return BigInt(timestampMs) * 1_000_000n + BigInt(offsetNs(identity));
}

/** FNV-1a 64 (Fowler, Noll, Vo; offset basis cbf29ce484222325, prime 2^40 + 0x1b3), kept in two halves. */
export function fnv1a64(text: string): { readonly high: number; readonly low: number } {
  let high = 0xcbf29ce4;
  let low = 0x84222325;
  const step = (byte: number) => {
    low = (low ^ byte) >>> 0;
    // hash × (2^40 + 0x1b3) mod 2^64: the product with 0x1b3 stays below 2^53, 2^40 shifts low into high.
    const product = low * 0x1b3;
    high = (Math.imul(high, 0x1b3) + Math.floor(product / 0x1_0000_0000) + (low << 8)) >>> 0;
    low = product >>> 0;
  };
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit < 0x80) step(unit);
    else {
      // The rest, from here on, in UTF-8; identities are ASCII but for a surprise.
      for (const byte of Buffer.from(text.slice(at))) step(byte);
      break;
    }
  }
  return { high, low };
}

function offsetNs(identity: string): number {
  const { high, low } = fnv1a64(identity);
  return ((high % NS_PER_MS) * (0x1_0000_0000 % NS_PER_MS) + low) % NS_PER_MS;
}
