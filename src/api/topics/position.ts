/** Where reading starts: `beginning`, `latest`, an offset or a time, for a page as for a feed. */
import type { Broker, PartitionDescription, TopicDescription } from '../../broker/index.ts';
import { nearest } from '../../runtime/index.ts';
import { Refusal } from '../errors.ts';
import { parseTime } from '../time-range.ts';

const TOPIC_NAME = /^[A-Za-z0-9._-]{1,249}$/;

/** The topic, or refuses with UNKNOWN_TOPIC, naming the nearest one there is. */
export async function requireTopic(broker: Broker, name: string): Promise<TopicDescription> {
  const found = TOPIC_NAME.test(name) ? await broker.describeTopics([name]) : [];
  return found[0] ?? refuseTopic(broker, name);
}

/** Refuses with UNKNOWN_TOPIC, naming the nearest topic there is. */
export async function refuseTopic(broker: Broker, name: string): Promise<never> {
  const names = (await broker.describeTopics()).map((topic) => topic.name);
  const near = nearest(
    name,
    names.filter((each) => !isInternal(each)),
  );
  throw new Refusal(
    'UNKNOWN_TOPIC',
    `there is no topic ${JSON.stringify(name)}${near === undefined ? '' : `; did you mean ${near}?`}`,
  );
}

/** Topics of the engine itself: hidden from lists, closed to publishers. */
export const isInternal = (topic: string): boolean => topic.startsWith('tidemark.');

export function requirePartition(topic: TopicDescription, partition: number): PartitionDescription {
  const found = topic.partitions.find((each) => each.partition === partition);
  if (found !== undefined) return found;
  throw new Refusal(
    'UNKNOWN_PARTITION',
    `topic ${topic.name} has partitions 0 to ${topic.partitions.length - 1}, not ${partition}`,
  );
}

/** The offset that `from` means in one partition. Refuses what is none of the four with FIELD_INVALID. */
export async function startOffset(
  broker: Broker,
  topic: string,
  partition: PartitionDescription,
  from: string,
): Promise<number> {
  if (from === 'beginning') return partition.firstOffset;
  if (from === 'latest') return partition.nextOffset;
  if (/^\d{1,12}$/.test(from)) return Number(from);
  // No log is as long as a time in ms is large, so longer numbers are times (as in `tidemark replay`).
  const time = /^\d/.test(from) ? parseTime(from) : undefined;
  if (time === undefined) {
    const message = `from: expected beginning, latest, an offset or a time (ms or ISO 8601), got ${JSON.stringify(from)}`;
    throw new Refusal('FIELD_INVALID', message, { errors: [{ field: 'from', message }] });
  }
  return broker.offsetAt({ topic, partition: partition.partition }, time);
}
