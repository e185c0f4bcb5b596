/**
 * Which partition a key belongs to: Kafka's default partitioner (murmur2, seed 0x9747b28c), bit for bit, so
 * that records keep their place whoever produced them: Java, kafkajs or the embedded log.
 */

const SEED = 0x9747b28c;
const M = 0x5bd1e995;
const R = 24;

/** murmur2 as in Kafka's `org.apache.kafka.common.utils.Utils.murmur2`: a signed 32-bit hash. */
export function murmur2(bytes: Uint8Array): number {
  const { length } = bytes;
  let hash = SEED ^ length;
  const tail = length & ~3;
  for (let i = 0; i < tail; i += 4) {
    let word =
      (bytes[i] as number) |
      ((bytes[i + 1] as number) << 8) |
      ((bytes[i + 2] as number) << 16) |
      ((bytes[i + 3] as number) << 24);
    word = Math.imul(word, M);
    word ^= word >>> R;
    word = Math.imul(word, M);
    hash = Math.imul(hash, M) ^ word;
  }
  const rest = length & 3;
  if (rest === 3) hash ^= (bytes[tail + 2] as number) << 16;
  if (rest >= 2) hash ^= (bytes[tail + 1] as number) << 8;
  if (rest >= 1) hash = Math.imul(hash ^ (bytes[tail] as number), M);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, M);
  return hash ^ (hash >>> 15);
}

/** The partition of a key, 0 … partitions-1. An empty key is a key. */
export const partitionOfKey = (key: Uint8Array, partitions: number): number =>
  (murmur2(key) & 0x7fffffff) % partitions;
