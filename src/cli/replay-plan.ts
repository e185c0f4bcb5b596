/** What a replay would read: offsets of every partition, asked of the engine, nothing started. */
import type { BacklogView, ReplayRequest, TopologyView } from '../api/index.ts';
import { FatalError } from '../model/index.ts';
import { nearest } from '../runtime/index.ts';
import type { Client } from './client.ts';

export interface PlannedRange {
  readonly topic: string;
  readonly partition: number;
  /** Half-open, offsets. */
  readonly from: number;
  readonly to: number;
}

interface ListedTopic {
  readonly name: string;
  readonly partitions: readonly {
    readonly partition: number;
    readonly firstOffset: number;
    readonly nextOffset: number;
  }[];
}

/** Of a topology that the engine has not, `inputs` are the topics that it reads. */
export async function planReplay(
  client: Client,
  request: ReplayRequest,
  inputs?: ReadonlySet<string>,
): Promise<PlannedRange[]> {
  const names = inputs ?? (await inputsOf(client, request.name));
  const { topics } = await client.get<{ topics: ListedTopic[] }>('/v1/topics?internal=true');
  const plan: PlannedRange[] = [];
  for (const topic of topics.filter(({ name }) => names.has(name))) {
    for (const { partition, firstOffset, nextOffset } of topic.partitions) {
      const offsetOf = async (position: ReplayRequest['from']): Promise<number> => {
        const offset =
          'offset' in position
            ? position.offset
            : await offsetAt(client, topic.name, partition, position.time);
        return Math.min(Math.max(offset, firstOffset), nextOffset);
      };
      const from = await offsetOf(request.from);
      const to = request.to === undefined ? nextOffset : await offsetOf(request.to);
      plan.push({ topic: topic.name, partition, from, to: Math.max(from, to) });
    }
  }
  return plan;
}

/** Topics that a topology or a sink reads. */
async function inputsOf(client: Client, name: string): Promise<Set<string>> {
  const { topologies } = await client.get<{ topologies: TopologyView[] }>('/v1/topologies');
  const topology = topologies.find((each) => each.name === name);
  if (topology !== undefined) return sourcesOf(topology);
  const { sinks } = await client.get<{ sinks: BacklogView[] }>('/v1/backlog');
  // A sink that reads several topics lists them with commas.
  const found = sinks
    .filter(({ sink }) => sink === name)
    .flatMap(({ topic }) => topic.split(/, */));
  if (found.length > 0) return new Set(found);
  const known = [...topologies.map((each) => each.name), ...sinks.map(({ sink }) => sink)];
  const near = nearest(name, known);
  throw new FatalError(
    `there is no topology or sink ${JSON.stringify(name)}${near === undefined ? '' : `; did you mean ${near}?`}`,
    { code: 'UNKNOWN_NAME' },
  );
}

/** The topics that nothing in the graph leads to. */
function sourcesOf({ graph }: TopologyView): Set<string> {
  const led = new Set(graph.edges.map(({ to }) => to));
  return new Set(
    graph.nodes
      .filter(({ id, kind }) => (kind === 'topic' || kind === 'source') && !led.has(id))
      .map(({ label }) => label),
  );
}

/** Of the first record at or after a time; the end when there is none. */
export async function offsetAt(
  client: Client,
  topic: string,
  partition: number,
  timeMs: number,
): Promise<number> {
  const query = new URLSearchParams({
    partition: String(partition),
    from: new Date(timeMs).toISOString(),
    limit: '1',
  });
  const path = `/v1/topics/${encodeURIComponent(topic)}/records?${query}`;
  const { records, next } = await client.get<{ records: { offset: number }[]; next: number }>(path);
  return records[0]?.offset ?? next;
}
