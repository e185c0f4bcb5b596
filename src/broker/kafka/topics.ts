/** Making, describing and deleting topics and groups. */
import { FatalError } from '../../model/index.ts';
import type { Clock } from '../../runtime/index.ts';
import type { TopicDescription, TopicSpec } from '../contract.ts';
import type { Cluster } from './cluster.ts';
import { isTransient, typeOf } from './errors.ts';
import { listOffsets, Offset } from './offsets.ts';

const REQUEST_MS = 30_000;
const STEP_MS = 20;
const NAME = /^[A-Za-z0-9._-]{1,249}$/;

/** A changelog holds little that lives and much that is overwritten: clean often, in small segments. */
const COMPACTED = {
  'cleanup.policy': 'compact',
  'min.cleanable.dirty.ratio': '0.2',
  'segment.bytes': String(64 * 1024 * 1024),
  'segment.ms': String(60 * 60 * 1000),
  'delete.retention.ms': String(24 * 60 * 60 * 1000),
} as const;

export function assertTopicName(name: string): void {
  if (!NAME.test(name) || name === '.' || name === '..') {
    throw new FatalError(
      `"${name}" is no topic name: 1 to 249 of letters, digits, dot, dash and underscore`,
      { code: 'TOPIC_NAME_INVALID', context: { topic: name } },
    );
  }
}

function configOf(spec: TopicSpec): Record<string, string> {
  const { cleanup = 'delete', retentionMs, retentionBytes, timestampType = 'append' } = spec;
  return {
    'message.timestamp.type': timestampType === 'append' ? 'LogAppendTime' : 'CreateTime',
    ...(cleanup === 'compact'
      ? COMPACTED
      : {
          'cleanup.policy': 'delete',
          ...(retentionMs === undefined ? {} : { 'retention.ms': String(retentionMs) }),
          ...(retentionBytes === undefined ? {} : { 'retention.bytes': String(retentionBytes) }),
        }),
  };
}

/** Makes what is missing and waits until every partition has a leader. */
export async function createTopics(
  cluster: Cluster,
  clock: Clock,
  specs: readonly TopicSpec[],
  replicationFactor: number | undefined,
): Promise<void> {
  for (const { name } of specs) assertTopicName(name);
  const names = specs.map(({ name }) => name);
  const existing = new Set(await cluster.refresh(names));
  // The broker refuses a request that names a topic twice.
  const missing = [...new Map(specs.map((spec) => [spec.name, spec])).values()].filter(
    ({ name }) => !existing.has(name),
  );
  if (missing.length === 0) return;
  try {
    await cluster.request(cluster.controllerId, 'CreateTopics', {
      topics: missing.map((spec) => ({
        topic: spec.name,
        numPartitions: spec.partitions ?? -1,
        replicationFactor: replicationFactor ?? Math.min(3, Math.max(1, cluster.brokerCount)),
        configEntries: Object.entries(configOf(spec)).map(([name, value]) => ({ name, value })),
      })),
      timeout: REQUEST_MS,
    });
  } catch (error) {
    // Somebody else was faster with some of them: that is what we wanted.
    const errors = (error as { errors?: unknown[] }).errors ?? [error];
    const real = errors.filter((e) => typeOf(e) !== 'TOPIC_ALREADY_EXISTS');
    if (real.length > 0) throw real[0];
  }
  const deadlineMs = clock.now() + REQUEST_MS;
  for (;;) {
    const found = new Set(await cluster.refresh(names));
    let ready = true;
    for (const { name, partitions } of specs) {
      const leaders = found.has(name) ? await cluster.leadersOf(name) : [];
      const wanted = existing.has(name) ? 1 : (partitions ?? 1);
      if (leaders.length < wanted || leaders.some((leader) => leader < 0)) ready = false;
    }
    if (ready && (await answered(cluster, names))) return;
    if (clock.now() >= deadlineMs) {
      throw new FatalError(`topics ${names.join(', ')} were made but get no leaders`, {
        code: 'TOPIC_NOT_READY',
      });
    }
    await clock.sleep(STEP_MS);
  }
}

/** Metadata may name a leader before the leader knows about it. */
async function answered(cluster: Cluster, topics: readonly string[]): Promise<boolean> {
  try {
    await describeTopics(cluster, topics);
    return true;
  } catch (error) {
    if (isTransient(error)) return false;
    throw error;
  }
}

export async function describeTopics(
  cluster: Cluster,
  topics?: readonly string[],
): Promise<TopicDescription[]> {
  if (topics?.length === 0) return [];
  for (const name of topics ?? []) assertTopicName(name);
  const names = [...new Set(await cluster.refresh(topics))].sort();
  const queries = [];
  for (const topic of names) {
    const { length } = await cluster.leadersOf(topic);
    for (let partition = 0; partition < length; partition++) queries.push({ topic, partition });
  }
  const [firsts, ends] = await Promise.all([
    listOffsets(
      cluster,
      queries.map((q) => ({ ...q, timestamp: Offset.first })),
    ),
    listOffsets(
      cluster,
      queries.map((q) => ({ ...q, timestamp: Offset.end })),
    ),
  ]);
  const described = new Map<string, TopicDescription['partitions'][number][]>(
    names.map((name) => [name, []]),
  );
  queries.forEach(({ topic, partition }, i) => {
    described.get(topic)!.push({
      partition,
      firstOffset: firsts[i]!.offset,
      nextOffset: ends[i]!.offset,
    });
  });
  return names.map((name) => ({ name, partitions: described.get(name)! }));
}

/** Topics and groups whose names begin with the prefix. */
export async function deleteNamespace(
  cluster: Cluster,
  clock: Clock,
  prefix: string,
): Promise<void> {
  if (!prefix.startsWith('tidemark.')) {
    throw new FatalError(`only names that begin with "tidemark." are deleted, not "${prefix}"`, {
      code: 'NAMESPACE_FORBIDDEN',
    });
  }
  const topics = (await cluster.refresh()).filter((name) => name.startsWith(prefix));
  if (topics.length > 0) {
    try {
      await cluster.request(cluster.controllerId, 'DeleteTopics', { topics, timeout: REQUEST_MS });
    } catch (error) {
      if (typeOf(error) !== 'UNKNOWN_TOPIC_OR_PARTITION') throw error;
    }
    const deadlineMs = clock.now() + REQUEST_MS;
    while ((await cluster.refresh(topics)).length > 0 && clock.now() < deadlineMs) {
      await clock.sleep(STEP_MS);
    }
  }
  for (const node of cluster.nodeIds) {
    const { groups } = (await cluster.request(node, 'ListGroups', {})) as {
      groups: { groupId: string }[];
    };
    const mine = groups.map(({ groupId }) => groupId).filter((name) => name.startsWith(prefix));
    if (mine.length === 0) continue;
    const { results } = (await cluster.request(node, 'DeleteGroups', mine)) as {
      results: { groupId: string; errorCode: number; error?: Error }[];
    };
    for (const { groupId, error } of results) {
      const type = typeOf(error);
      if (error === undefined || type === 'GROUP_ID_NOT_FOUND') continue;
      if (type === 'NON_EMPTY_GROUP') {
        throw new FatalError(`group ${groupId} still has members; stop them first`, {
          code: 'GROUP_IN_USE',
          cause: error,
          context: { group: groupId },
        });
      }
      throw error;
    }
  }
}
