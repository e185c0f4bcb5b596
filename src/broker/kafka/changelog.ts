/**
 * How a task's state lies in its changelog partition: one record per entry, key = `01` + the entry's key, value
 * = the entry's bytes (none = removed); and one record with key `00` per epoch, which says what the epoch's
 * input offsets were: `version uint8 = 1 | length uint32 | JSON {"group","offsets":[[topic,partition,offset]…]}
 * | meta`. Example: group "g", input t/0 at 5, meta "m":
 * `01 00000023 7b2267726f7570223a2267222c226f666673657473223a5b5b2274222c302c355d5d7d 6d`.
 */
import { FatalError } from '../../model/index.ts';
import type { TopicPartition } from '../contract.ts';

export const META_KEY: Buffer = Buffer.from([0]);
const STATE_PREFIX = 1;
const VERSION = 1;

export const stateKey = (key: Buffer): Buffer => {
  const prefixed = Buffer.allocUnsafe(key.length + 1);
  prefixed[0] = STATE_PREFIX;
  key.copy(prefixed, 1);
  return prefixed;
};

export interface EpochRecord {
  readonly group: string;
  readonly offsets: readonly (TopicPartition & { readonly offset: number })[];
  readonly meta: Buffer;
}

export function encodeEpoch({ group, offsets, meta }: EpochRecord): Buffer {
  const json = Buffer.from(
    JSON.stringify({ group, offsets: offsets.map((o) => [o.topic, o.partition, o.offset]) }),
  );
  const head = Buffer.allocUnsafe(5);
  head[0] = VERSION;
  head.writeUInt32BE(json.length, 1);
  return Buffer.concat([head, json, meta]);
}

export function decodeEpoch(bytes: Buffer): EpochRecord {
  if (bytes[0] !== VERSION) {
    throw new FatalError(
      `the changelog was written by a newer version (epoch record ${bytes[0]}); run that version or newer`,
      { code: 'CHANGELOG_TOO_NEW' },
    );
  }
  const end = 5 + bytes.readUInt32BE(1);
  const { group, offsets } = JSON.parse(bytes.toString('utf8', 5, end)) as {
    group: string;
    offsets: [string, number, number][];
  };
  return {
    group,
    offsets: offsets.map(([topic, partition, offset]) => ({ topic, partition, offset })),
    meta: Buffer.from(bytes.subarray(end)),
  };
}
