/**
 * Compares what a replay derives with what the derived topics hold. Records about a window are compared by topic,
 * key and window, all but their revision, which tells how often a window was given and not what is in it; the last
 * revision stands for all. Other records have no identity but their bytes: each must stand in its topic as often as it
 * is derived. A window is judged only where both sides have come so far, so that neither the end of the range nor a
 * stream that goes on looks like a difference.
 *
 * Memory: a digest of 16 characters per window on each side (about 200 bytes a window), and the text of the windows
 * that differ, up to KEPT_BYTES_MAX; what differs past that is counted and named, without by how much.
 */
import { createHash } from 'node:crypto';
import type { OutputRecord } from '../stream/index.ts';
import { type DiffReport, DiffSummary, fieldsOf, type WindowChange } from './diff-report.ts';
import type { ReplayLog } from './replay-range.ts';

const KEPT_BYTES_MAX = 64 * 1024 * 1024;

/** One window of a series, on both sides. */
interface Compared {
  readonly end: number;
  stored?: string;
  derived?: string;
  /** What the replay gave, while it differs. */
  text?: string;
  change?: WindowChange['fields'];
}

interface Series {
  readonly topic: string;
  readonly key: string;
  /** Windows of one group close together: a topic's, of one scope and one partition. */
  readonly group: Group;
  readonly windows: Map<number, Compared>;
}

/** The newest window start of each side. */
interface Group {
  stored: number;
  derived: number;
}

export interface ReplayReach {
  /** Windows that begin before were read in part. */
  readonly wholeFrom: number;
  /** Nothing lay before what was read, and nothing after. */
  readonly isAll: boolean;
}

export class RecordDiff {
  readonly #topics: readonly string[];
  readonly #series = new Map<string, Series>();
  readonly #groups = new Map<string, Group>();
  /** Records without a window: how often stored, less how often derived. */
  readonly #others = new Map<string, number>();
  readonly #summary = new DiffSummary();
  #keptBytes = 0;

  private constructor(topics: readonly string[]) {
    this.#topics = topics;
  }

  /** What the topics hold now. */
  static async read(
    log: ReplayLog,
    topics: readonly string[],
    signal: AbortSignal,
  ): Promise<RecordDiff> {
    const diff = new RecordDiff(topics);
    await diff.#eachStored(log, signal, (record) => {
      const windowed = windowedOf(record);
      if (windowed === undefined) {
        const identity = bytesOf(record);
        diff.#others.set(identity, (diff.#others.get(identity) ?? 0) + 1);
        return;
      }
      const { series, compared } = diff.#find(record, windowed);
      compared.stored = windowed.digest;
      series.group.stored = Math.max(series.group.stored, windowed.start);
    });
    return diff;
  }

  /** What the replay derived, in order. */
  take(records: readonly OutputRecord[]): void {
    for (const record of records) {
      // Late records and dead letters go beside the derived topics.
      if (!this.#topics.includes(record.topic)) continue;
      const windowed = windowedOf(record);
      if (windowed === undefined) this.#takeOther(record);
      else this.#takeWindow(record, windowed);
    }
  }

  /** Reads what is stored for the windows that differ, and sums up. */
  async report(log: ReplayLog, reach: ReplayReach, signal: AbortSignal): Promise<DiffReport> {
    if (this.#keptBytes > 0) await this.#readChanges(log, signal);
    for (const series of this.#series.values()) this.#judge(series, reach);
    if (reach.isAll) {
      for (const [identity, left] of this.#others) {
        const [topic = '', key = ''] = identity.split(SEPARATOR);
        for (let i = 0; i < left; i++) this.#summary.only('stored', { topic, key });
      }
    }
    return this.#summary.report();
  }

  #takeOther(record: OutputRecord): void {
    const identity = bytesOf(record);
    const left = this.#others.get(identity) ?? 0;
    this.#others.set(identity, left - 1);
    const series = { topic: record.topic, key: String(record.key) };
    if (left > 0) this.#summary.equal(series);
    else this.#summary.only('new', series);
  }

  #takeWindow(record: OutputRecord, windowed: Windowed): void {
    const { series, compared } = this.#find(record, windowed);
    compared.derived = windowed.digest;
    series.group.derived = Math.max(series.group.derived, windowed.start);
    this.#keptBytes -= compared.text?.length ?? 0;
    delete compared.text;
    if (compared.stored === undefined || compared.stored === windowed.digest) return;
    const text = String(record.value);
    if (this.#keptBytes + text.length > KEPT_BYTES_MAX) return;
    compared.text = text;
    this.#keptBytes += text.length;
  }

  async #readChanges(log: ReplayLog, signal: AbortSignal): Promise<void> {
    await this.#eachStored(log, signal, (record) => {
      const windowed = windowedOf(record);
      if (windowed === undefined) return;
      const { compared } = this.#find(record, windowed);
      // A record that came since the first reading is none of this comparison.
      if (compared.text === undefined || compared.stored !== windowed.digest) return;
      compared.change = fieldsOf(String(record.value), compared.text);
    });
  }

  #judge({ topic, key, group, windows }: Series, { wholeFrom, isAll }: ReplayReach): void {
    // One side alone has nothing of this group: all of the other is news, if the replay saw all.
    const reached = Math.min(
      group.stored === Number.NEGATIVE_INFINITY ? Number.POSITIVE_INFINITY : group.stored,
      group.derived === Number.NEGATIVE_INFINITY && isAll
        ? Number.POSITIVE_INFINITY
        : group.derived,
    );
    for (const start of [...windows.keys()].sort((a, b) => a - b)) {
      if (start < wholeFrom || start > reached) continue;
      const { end, stored, derived, change } = windows.get(start) as Compared;
      const at = { topic, key, start, end };
      if (stored === derived) this.#summary.equal(at);
      else if (stored === undefined) this.#summary.only('new', at);
      else if (derived === undefined) this.#summary.only('stored', at);
      else this.#summary.changed(at, change, wholeFrom);
    }
  }

  #find(record: OutputRecord, { start, end, network, part }: Windowed) {
    const key = network === '' ? String(record.key) : `${record.key} ${network}`;
    const identity = [record.topic, key].join(SEPARATOR);
    let series = this.#series.get(identity);
    if (series === undefined) {
      const name = [record.topic, part].join(SEPARATOR);
      let group = this.#groups.get(name);
      if (group === undefined) {
        group = { stored: Number.NEGATIVE_INFINITY, derived: Number.NEGATIVE_INFINITY };
        this.#groups.set(name, group);
      }
      series = { topic: record.topic, key, group, windows: new Map() };
      this.#series.set(identity, series);
    }
    let compared = series.windows.get(start);
    if (compared === undefined) {
      compared = { end };
      series.windows.set(start, compared);
    }
    return { series, compared };
  }

  async #eachStored(
    log: ReplayLog,
    signal: AbortSignal,
    each: (record: OutputRecord) => void,
  ): Promise<void> {
    for (const { name: topic, partitions } of await log.describeTopics(this.#topics)) {
      for (const { partition, firstOffset, nextOffset } of partitions) {
        for (let from = firstOffset; from < nextOffset; ) {
          signal.throwIfAborted();
          const batch = await log.read({ topic, partition, from, maxBytes: 1024 * 1024 });
          if (batch === null) break;
          for (let i = 0; i < batch.count; i++) {
            const part = (start: number, end: number) =>
              start < 0 ? null : batch.bytes.subarray(start, end);
            each({
              topic,
              key: part(batch.keyStart[i] as number, batch.keyEnd[i] as number),
              value: part(batch.valueStart[i] as number, batch.valueEnd[i] as number),
            });
          }
          from = batch.nextOffset;
          await new Promise((resolve) => setImmediate(resolve));
        }
      }
    }
  }
}

const SEPARATOR = '\u001f';

interface Windowed {
  readonly start: number;
  readonly end: number;
  readonly network: string;
  /** What closes together within a topic. */
  readonly part: string;
  readonly digest: string;
}

function windowedOf({ value }: OutputRecord): Windowed | undefined {
  if (value === null) return undefined;
  let row: Record<string, unknown>;
  try {
    row = JSON.parse(String(value)) as Record<string, unknown>;
  } catch {
    return undefined;
  }
  const window = row?.window as { start?: unknown; end?: unknown } | undefined;
  if (typeof window?.start !== 'number') return undefined;
  const { revision: _, ...rest } = row;
  const lineage = row.lineage as { partition?: unknown } | undefined;
  return {
    start: window.start,
    end: typeof window.end === 'number' ? window.end : window.start,
    network: typeof row.network === 'string' ? row.network : '',
    part: `${row.scope ?? ''} ${lineage?.partition ?? ''}`,
    digest: hash(JSON.stringify(rest)),
  };
}

const bytesOf = (record: OutputRecord): string =>
  [record.topic, record.key, record.value === null ? '' : hash(record.value)].join(SEPARATOR);

const hash = (content: Buffer | string): string =>
  createHash('sha256').update(content).digest('base64url').slice(0, 16);
