/**
 * Is a rollup right? Its lineage names the records it was made of: they are read again, with what dedup must have
 * seen before them, the topology runs over them alone, and what it derives is compared with what is stored. The moving
 * average is left out, since it also tells of eleven windows before; late records too, since they come after.
 */
import type { Broker, RecordBatch } from '../broker/index.ts';
import { FatalError, type Lineage } from '../model/index.ts';
import type { OutputRecord, Topology } from '../stream/index.ts';
import { replayRanges } from './replay-range.ts';
import { runReplay, windowStartOf } from './replay-run.ts';

export interface Explanation {
  readonly point: string;
  /** Whether everything compared is equal, the digest bit for bit. */
  readonly match: boolean;
  readonly differences: readonly {
    readonly field: string;
    readonly stored: unknown;
    readonly recomputed: unknown;
  }[];
  readonly topology: string;
  /** What the lineage names, half-open. */
  readonly offsets: readonly {
    readonly topic: string;
    readonly partition: number;
    readonly from: number;
    readonly to: number;
  }[];
  /** Records read again, those before the first that dedup must know included. */
  readonly recordsRead: number;
  readonly stored: Readonly<Record<string, unknown>>;
  /** null when the topology derives no such record. */
  readonly recomputed: Readonly<Record<string, unknown>> | null;
}

/** `TOPIC/KEY@TIME`, the time of the window's start, or `TOPIC:PARTITION:OFFSET`. */
export type PointName =
  | { readonly topic: string; readonly key: string; readonly startMs: number }
  | { readonly topic: string; readonly partition: number; readonly offset: number };

/** undefined when it is none. `timeOf` reads ms and ISO 8601. */
export function parsePoint(
  text: string,
  timeOf: (text: string) => number | undefined,
): PointName | undefined {
  const byKey = /^([^/:@]+)\/(.+)@([^@]+)$/.exec(text);
  if (byKey !== null) {
    const [, topic = '', key = '', time = ''] = byKey;
    const startMs = timeOf(time);
    return startMs === undefined ? undefined : { topic, key, startMs };
  }
  const byOffset = /^([^/:@]+):(\d{1,9}):(\d{1,15})$/.exec(text);
  if (byOffset === null) return undefined;
  const [, topic = '', partition, offset] = byOffset;
  return { topic, partition: Number(partition), offset: Number(offset) };
}

export interface ExplainParts {
  readonly broker: Broker;
  readonly topologies: readonly Topology[];
  readonly signal: AbortSignal;
}

type Rollup = Readonly<Record<string, unknown>> & { readonly lineage: Lineage };

const READ_BYTES = 1024 * 1024;
const COMPARED = [
  'window',
  'count',
  'sum',
  'min',
  'max',
  'mean',
  'stddev',
  'p50',
  'p95',
  'p99',
  'digest',
];

/** @throws FatalError UNKNOWN_POINT, LINEAGE_GONE. */
export async function explain(
  text: string,
  name: PointName,
  { broker, topologies, signal }: ExplainParts,
): Promise<Explanation> {
  const found = await find(broker, name, signal);
  if (found === undefined) {
    throw new FatalError(`no rollup is stored as ${text}`, { code: 'UNKNOWN_POINT' });
  }
  const { key, rollup } = found;
  const { lineage } = rollup;
  const topology = topologies.find(
    ({ outputs, sources }) =>
      outputs.includes(name.topic) && sources.some(({ topic }) => topic === lineage.topic),
  );
  if (topology === undefined) {
    throw new FatalError(
      `no topology here derives ${name.topic} from ${lineage.topic}; ask the engine that runs it`,
      { code: 'UNKNOWN_POINT' },
    );
  }
  const spans = spansOf(lineage);
  const ranges = [];
  for (const range of await replayRanges(broker, [lineage.topic], { offset: 0 }, undefined)) {
    const span = spans.get(range.partition);
    if (span === undefined) {
      // The partition must be there, for networks are merged from all, and has nothing to give.
      ranges.push({ ...range, start: range.end });
      continue;
    }
    if (span.firstOffset < range.start || span.lastOffset >= range.end) {
      throw new FatalError(
        `${lineage.topic}/${range.partition} no longer has all of the offsets ${span.firstOffset} to ${span.lastOffset}; its retention took them`,
        { code: 'LINEAGE_GONE' },
      );
    }
    const [from, to] = [{ offset: span.firstOffset }, { offset: span.lastOffset + 1 }];
    const all = await replayRanges(broker, [lineage.topic], from, to);
    const own = all.find(({ partition }) => partition === range.partition);
    if (own !== undefined) ranges.push(own);
  }
  const start = windowStartOf({ value: JSON.stringify(rollup) });
  let recomputed: Record<string, unknown> | null = null;
  let recordsRead = 0;
  await runReplay({
    topology,
    broker,
    ranges,
    signal,
    finish: true,
    pace: () => new Promise((resolve) => setImmediate(resolve)),
    take: async ({ records }) => {
      for (const record of records) {
        if (!isSame(record, name.topic, key, start, rollup)) continue;
        recomputed = JSON.parse(String(record.value)) as Record<string, unknown>;
      }
    },
    onProgress: (records) => {
      recordsRead += records;
    },
  });
  const other: Record<string, unknown> | null = recomputed;
  const differences = COMPARED.filter(
    (field) => JSON.stringify(rollup[field]) !== JSON.stringify(other?.[field]),
  ).map((field) => ({ field, stored: rollup[field] ?? null, recomputed: other?.[field] ?? null }));
  return {
    point: text,
    match: differences.length === 0,
    differences,
    topology: topology.name,
    offsets: [...spans].map(([partition, span]) => ({
      topic: lineage.topic,
      partition,
      from: span.firstOffset,
      to: span.lastOffset + 1,
    })),
    recordsRead,
    stored: rollup,
    recomputed: other,
  };
}

function spansOf(lineage: Lineage) {
  const { partition, offsets = [lineage] } = lineage;
  const named = partition >= 0 ? [lineage] : offsets;
  return new Map(named.map((span) => [span.partition, span]));
}

function isSame(
  record: OutputRecord,
  topic: string,
  key: string,
  start: number | undefined,
  rollup: Rollup,
): boolean {
  if (record.topic !== topic || String(record.key) !== key) return false;
  if (windowStartOf(record) !== start) return false;
  const { network } = JSON.parse(String(record.value)) as { network?: unknown };
  return network === rollup.network;
}

/** The newest record of that name. */
async function find(
  broker: Broker,
  name: PointName,
  signal: AbortSignal,
): Promise<{ key: string; rollup: Rollup } | undefined> {
  let found: { key: string; rollup: Rollup } | undefined;
  for (const { partitions } of await broker.describeTopics([name.topic])) {
    for (const { partition, firstOffset, nextOffset } of partitions) {
      const isWanted = 'offset' in name;
      if (isWanted && (partition !== name.partition || name.offset >= nextOffset)) continue;
      const end = isWanted ? name.offset + 1 : nextOffset;
      for (let from = isWanted ? Math.max(firstOffset, name.offset) : firstOffset; from < end; ) {
        signal.throwIfAborted();
        const at = { topic: name.topic, partition, from, maxBytes: READ_BYTES };
        const batch = await broker.read(at);
        if (batch === null) break;
        for (let i = 0; i < batch.count; i++) {
          const given = candidate(batch, i, name);
          if (given !== undefined) found = given;
        }
        from = batch.nextOffset;
      }
    }
  }
  return found;
}

function candidate(batch: RecordBatch, i: number, name: PointName) {
  const part = (start: number, end: number) =>
    start < 0 ? '' : batch.bytes.subarray(start, end).toString();
  const key = part(batch.keyStart[i] as number, batch.keyEnd[i] as number);
  if ('offset' in name ? batch.offsets[i] !== name.offset : key !== name.key) return undefined;
  const value = part(batch.valueStart[i] as number, batch.valueEnd[i] as number);
  if (!('offset' in name) && windowStartOf({ value }) !== name.startMs) return undefined;
  try {
    const rollup = JSON.parse(value) as Rollup;
    return typeof rollup.lineage?.topic === 'string' ? { key, rollup } : undefined;
  } catch {
    return undefined;
  }
}
