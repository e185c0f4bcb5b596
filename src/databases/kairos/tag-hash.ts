/**
 * `tag_collection_hash` of the tag index: MurmurHash3 x86 32-bit, seed 0, over name, value, name, value … of the
 * indexed tags in name order, UTF-8, nothing between them; kept as a signed int. {host=web1} → −1751799854.
 */
import type { TagList } from './tag-string.ts';

export function tagCollectionHash(tags: TagList): number {
  return murmur3(Buffer.from(tags.map(([name, value]) => name + value).join('')));
}

/** `name=value`, as is: the tag index escapes nothing. */
export const singleTagPair = ([name, value]: readonly [string, string]): string =>
  `${name}=${value}`;

/** MurmurHash3_x86_32 with seed 0 (Austin Appleby, public domain), signed. */
export function murmur3(bytes: Buffer): number {
  const blocksEnd = bytes.length & ~3;
  let hash = 0;
  for (let i = 0; i < blocksEnd; i += 4) {
    hash ^= mix(bytes.readInt32LE(i));
    hash = Math.imul((hash << 13) | (hash >>> 19), 5) + 0xe6546b64;
  }
  let tail = 0;
  for (let i = bytes.length - 1; i >= blocksEnd; i--) tail = (tail << 8) | (bytes[i] as number);
  hash ^= mix(tail);
  hash ^= bytes.length;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) | 0;
}

function mix(block: number): number {
  const product = Math.imul(block, 0xcc9e2d51);
  return Math.imul((product << 15) | (product >>> 17), 0x1b873593);
}
