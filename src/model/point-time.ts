/** Gives points of one millisecond places of their own within it, the same place each time. */

/**
 * The millisecond plus 0 … 999,999 ns that depend only on `identity`: two votes in one millisecond stay apart,
 * and a repetition lands on itself (design §6). With n points of one series in one millisecond two of them meet
 * with odds of about n² / 2,000,000; a validator casts one or two votes a slot of 400 ms.
 */
export function pointTimestampNs(timestampMs: number, identity: string): bigint {
  return BigInt(timestampMs) * 1_000_000n + BigInt(hash(identity) % 1_000_000);
}

/** FNV-1a over UTF-16 units, 32 bits, then mixed (murmur3's finaliser) so that the low digits spread too. */
function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  }
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
