/** All that an engine leaves behind, as lines that can be compared between two runs. */
import { join } from 'node:path';
import type { Broker } from '../../src/broker/index.ts';
import { embeddedWideRows, RollupStore } from '../../src/databases/embedded/index.ts';
import { KairosStore } from '../../src/databases/kairos/index.ts';
import type { Rollup } from '../../src/model/index.ts';
import { systemClock } from '../../src/runtime/index.ts';

/** What a line is about → the line. */
export type Lines = ReadonlyMap<string, string>;

export const derivedTopics = {
  '5m': 'votes.rollup.5m',
  '1h': 'votes.rollup.1h',
  '1d': 'votes.rollup.1d',
  late: 'votes.late',
  dead: 'votes.dead-letter',
} as const;

export interface DerivedRecord {
  readonly topic: string;
  readonly key: string;
  readonly value: string;
}

/** Every record of the topics, partition by partition. */
export async function recordsOf(
  broker: Broker,
  topics: readonly string[],
): Promise<readonly DerivedRecord[]> {
  const records: DerivedRecord[] = [];
  for (const { name: topic, partitions } of await broker.describeTopics(topics)) {
    for (const { partition, firstOffset } of partitions) {
      for (let from = firstOffset; ; ) {
        const batch = await broker.read({ topic, partition, from });
        if (batch === null) break;
        const text = (start = -1, end = -1) =>
          start < 0 ? '' : batch.bytes.toString('utf8', start, end);
        for (let i = 0; i < batch.count; i++) {
          const key = text(batch.keyStart[i], batch.keyEnd[i]);
          records.push({ topic, key, value: text(batch.valueStart[i], batch.valueEnd[i]) });
        }
        from = batch.nextOffset;
      }
    }
  }
  return records;
}

/**
 * Records by topic and place within their key, so that two equal results hold the same bytes in the same order
 * of every key. A network's window may be given again, more complete: its last revision stands for all.
 */
export function linesOf(records: readonly DerivedRecord[]): Lines {
  const lines = new Map<string, string>();
  const places = new Map<string, number>();
  for (const { topic, key, value } of records) {
    const rollup = key.startsWith('network:') ? (JSON.parse(value) as Rollup) : undefined;
    if (rollup !== undefined) {
      // How often it was given depends on who was awake, not what it says in the end.
      lines.set(
        `${topic} ${key} ${rollup.window.start}`,
        JSON.stringify({ ...rollup, revision: 0 }),
      );
      continue;
    }
    const place = places.get(`${topic} ${key}`) ?? 0;
    places.set(`${topic} ${key}`, place + 1);
    lines.set(`${topic} ${key} #${place}`, value);
  }
  return lines;
}

/** Every point of the embedded KairosDB store. The engine must not run. */
export async function embeddedPoints(data: string): Promise<Lines> {
  const rows = embeddedWideRows({ dataDirectory: data, clock: systemClock });
  const store = new KairosStore({ rows, clock: systemClock, readOnly: true });
  await store.connect();
  try {
    return await pointsOf(store);
  } finally {
    await store.close();
  }
}

export async function pointsOf(store: KairosStore): Promise<Lines> {
  const lines = new Map<string, string>();
  for await (const metrics of store.rows.metricNames('vote_latency')) {
    for (const metric of metrics) {
      const query = { metric, fromMs: Number.NEGATIVE_INFINITY, toMs: Number.POSITIVE_INFINITY };
      for await (const page of store.readSeries(query)) {
        for (const { tags, timestampMs, value } of page) {
          const series = JSON.stringify(Object.entries(tags).sort(([a], [b]) => (a < b ? -1 : 1)));
          lines.set(`${metric} ${series} ${timestampMs}`, `${typeof value} ${value}`);
        }
      }
    }
  }
  return lines;
}

/** What the history endpoints answer from, for every key that the rollups name. The engine must not run. */
export async function historyOf(data: string, rollups: readonly DerivedRecord[]): Promise<Lines> {
  const store = new RollupStore(join(data, 'rollups'));
  const lines = new Map<string, string>();
  try {
    for (const key of new Set(rollups.map((record) => record.key))) {
      const [scope, id] = key.split(':') as [string, string];
      for (const step of ['5m', '1h', '1d'] as const) {
        const query = { scope, id, step, from: 0, to: Number.MAX_SAFE_INTEGER };
        for await (const rollup of store.read(query)) {
          lines.set(
            `${step} ${key} ${rollup.window.start}`,
            JSON.stringify({ ...rollup, revision: 0 }),
          );
        }
      }
    }
  } finally {
    await store.close();
  }
  return lines;
}

/** The first few differences, short enough to read; empty when there are none. */
export function differences(found: Lines, wanted: Lines): readonly string[] {
  const list: string[] = [];
  for (const [about, line] of wanted) {
    const other = found.get(about);
    if (other === undefined) list.push(`missing: ${about}`);
    else if (other !== line) list.push(`${about}: ${apart(other, line)}`);
  }
  for (const about of found.keys()) if (!wanted.has(about)) list.push(`too much: ${about}`);
  return list.length > 8 ? [...list.slice(0, 8), `… ${list.length} differences`] : list;
}

function apart(found: string, wanted: string): string {
  let at = 0;
  while (found[at] === wanted[at]) at++;
  const cut = (text: string) => text.slice(Math.max(0, at - 40), at + 60);
  return `found …${cut(found)}… wanted …${cut(wanted)}…`;
}
