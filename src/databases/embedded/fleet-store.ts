/**
 * What this process knows of the fleet, on disk: rollups by host and series, hosts, anomalies, annotations. It is
 * fed from topics and can be made anew from them.
 *
 *   rollups            [step, day, host, type ␞ field ␞ tags, window start] → JSON without digest and lineage
 *   ["host", name]                                → JSON of the host's state
 *   ["anomaly", window start, host, series]       → JSON of the anomaly
 *   ["annotation", time, id]                      → JSON of the annotation
 *   ["annotation-time", id]                       → the annotation's time, to find it by its id
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { open, type RootDatabase } from 'lmdb';
import {
  days,
  type FleetAnomaly,
  type FleetHostState,
  type FleetRollup,
  type MetricType,
  metricTypes,
  type StoredAnnotation,
  tagsText,
} from '../../model/index.ts';
import { mapBytes } from '../../runtime/index.ts';
import { type RollupStep, WindowStore } from './window-store.ts';

/** How long each step is kept, counted from the newest window stored [S2]. */
const KEEP_MS: Readonly<Record<RollupStep, number>> = {
  '5m': days(7),
  '1h': days(90),
  '1d': days(365),
};
const ANOMALY_KEEP_MS = days(90);
/** A host that has not reported for so long, counted from the newest report of any, is forgotten. */
const HOST_KEEP_MS = days(30);
/** Keys hold at most so many characters of a series; a longer one ends in its hash. */
const SERIES_CHARS_MAX = 500;
const SWEEP_KEYS = 500;

/** A rollup as it is kept: what a chart needs. */
export type KeptRollup = Omit<FleetRollup, 'digest' | 'lineage'>;

/** What the feed brings, in the order of the log. */
export type FleetEntry =
  | { readonly kind: 'rollup'; readonly rollup: FleetRollup }
  | { readonly kind: 'host'; readonly host: FleetHostState }
  | { readonly kind: 'anomaly'; readonly anomaly: FleetAnomaly }
  | { readonly kind: 'annotation'; readonly annotation: StoredAnnotation };

export interface FleetRollupQuery {
  readonly host: string;
  readonly metricType?: MetricType | undefined;
  readonly field?: string | undefined;
  readonly step: RollupStep;
  readonly from: number;
  readonly to: number;
}

type Key = [string, ...(string | number)[]];

export class FleetStore {
  readonly #rollups: WindowStore<KeptRollup & { revision: number }>;
  readonly #db: RootDatabase<string, Key>;
  #newestMs = Number.NEGATIVE_INFINITY;

  constructor(directory: string) {
    this.#rollups = new WindowStore({
      directory: join(directory, 'rollups'),
      keepMs: KEEP_MS,
      seriesOf: (rollup) => ({ name: rollup.host, series: seriesText(rollup) }),
    });
    this.#db = open<string, Key>({
      path: join(directory, 'hosts'),
      encoding: 'string',
      keyEncoding: 'ordered-binary',
      mapSize: mapBytes,
    });
  }

  /** Durable when it resolves; what comes again changes nothing. */
  async put(entries: readonly FleetEntry[]): Promise<void> {
    const rollups = entries.flatMap((entry) =>
      entry.kind === 'rollup' ? [kept(entry.rollup)] : [],
    );
    if (rollups.length > 0) await this.#rollups.put(rollups);
    const others = entries.filter((entry) => entry.kind !== 'rollup');
    if (others.length === 0) return;
    await this.#db.transaction(() => {
      for (const entry of others) this.#putOne(entry);
    });
  }

  /** All but those whose state one has already. */
  hosts(known: ReadonlySet<string> = new Set()): readonly FleetHostState[] {
    const found: FleetHostState[] = [];
    for (const key of this.#db.getKeys({ start: ['host'], end: ['host~'] })) {
      const name = (key as unknown as readonly string[])[1] as string;
      const state = known.has(name) ? undefined : this.host(name);
      if (state !== undefined) found.push(state);
    }
    return found;
  }

  host(name: string): FleetHostState | undefined {
    const found = this.#db.get(['host', name]);
    return found === undefined ? undefined : (JSON.parse(found) as FleetHostState);
  }

  /** By window start. */
  rollups({ host, metricType, field, ...range }: FleetRollupQuery): AsyncGenerator<KeptRollup> {
    const types = metricType === undefined ? metricTypes : [metricType];
    const seriesPrefixes =
      field === undefined && metricType === undefined
        ? ['']
        : types.map((type) =>
            field === undefined ? `${type}\u001e` : `${type}\u001e${field}\u001e`,
          );
    return this.#rollups.read({ name: host, seriesPrefixes, ...range });
  }

  /** All of a step in a half-open range of window starts, in pages. */
  rollupsWithin(
    step: RollupStep,
    range: { readonly fromMs: number; readonly toMs: number },
  ): AsyncGenerator<readonly KeptRollup[]> {
    return this.#rollups.within(step, range);
  }

  /** What is older, of rollups of a step or of anomalies, may be gone. */
  keptSinceMs(of: RollupStep | 'anomaly'): number {
    if (of !== 'anomaly') return this.#rollups.keptSinceMs(of);
    const newest = { start: ['anomaly~'], end: ['anomaly'], reverse: true, limit: 1 };
    const seen = this.hosts().map(({ lastSeen }) => lastSeen);
    for (const key of this.#db.getKeys(newest as never)) seen.push((key as Key)[1] as number);
    return Math.max(...seen, Number.NEGATIVE_INFINITY) - ANOMALY_KEEP_MS;
  }

  /** Newest first, those that `fits` says true of, at most `limit`. */
  anomalies(
    range: { readonly from: number; readonly to: number },
    limit: number,
    fits: (anomaly: FleetAnomaly) => boolean,
  ): readonly FleetAnomaly[] {
    const found: FleetAnomaly[] = [];
    const keys = { start: ['anomaly', range.to], end: ['anomaly', range.from], reverse: true };
    for (const { key, value } of this.#db.getRange(keys as never)) {
      const start = (key as Key)[1] as number;
      if (start >= range.to || start < range.from) continue;
      const anomaly = JSON.parse(value) as FleetAnomaly;
      if (fits(anomaly) && found.push(anomaly) === limit) break;
    }
    return found;
  }

  /** By time. */
  annotations(): readonly StoredAnnotation[] {
    // Up to where `annotation-time` begins.
    return this.#values<StoredAnnotation>(['annotation'], ['annotation-']);
  }

  annotation(id: string): StoredAnnotation | undefined {
    const time = this.#db.get(['annotation-time', id]);
    const found = time === undefined ? undefined : this.#db.get(['annotation', Number(time), id]);
    return found === undefined ? undefined : (JSON.parse(found) as StoredAnnotation);
  }

  async close(): Promise<void> {
    await Promise.all([this.#rollups.close(), this.#db.close()]);
  }

  #putOne(entry: Exclude<FleetEntry, { kind: 'rollup' }>): void {
    if (entry.kind === 'host') {
      const { host } = entry;
      const before = this.host(host.host);
      if (before !== undefined && before.lastSeen > host.lastSeen) return;
      void this.#db.put(['host', host.host], JSON.stringify(host));
      this.#advance(host.lastSeen);
    } else if (entry.kind === 'anomaly') {
      const { anomaly } = entry;
      const key: Key = ['anomaly', anomaly.window.start, anomaly.host, seriesText(anomaly)];
      void this.#db.put(key, JSON.stringify(anomaly));
      this.#advance(anomaly.window.start);
    } else {
      this.#putAnnotation(entry.annotation);
    }
  }

  #putAnnotation(annotation: StoredAnnotation): void {
    const { id, time } = annotation;
    const before = this.annotation(id);
    if (before !== undefined) void this.#db.remove(['annotation', before.time, id]);
    if (annotation.removed === true) {
      void this.#db.remove(['annotation-time', id]);
      return;
    }
    void this.#db.put(['annotation', time, id], JSON.stringify(annotation));
    void this.#db.put(['annotation-time', id], String(time));
  }

  /** Each hour of event time, what is too old goes. */
  #advance(timeMs: number): void {
    if (timeMs < this.#newestMs + 3_600_000) return;
    this.#newestMs = timeMs;
    const old = {
      start: ['anomaly'],
      end: ['anomaly', timeMs - ANOMALY_KEEP_MS],
      limit: SWEEP_KEYS,
    };
    for (const key of this.#db.getKeys(old as never)) void this.#db.remove(key as Key);
    for (const { host, lastSeen } of this.hosts()) {
      if (lastSeen < timeMs - HOST_KEEP_MS) void this.#db.remove(['host', host]);
    }
  }

  #values<T>(start: Key, end: Key): readonly T[] {
    const found: T[] = [];
    for (const { value } of this.#db.getRange({ start, end })) found.push(JSON.parse(value) as T);
    return found;
  }
}

function kept({ digest: _, lineage: __, ...rollup }: FleetRollup): KeptRollup {
  return rollup;
}

function seriesText({
  metricType,
  field,
  tags,
}: Pick<FleetRollup, 'metricType' | 'field' | 'tags'>): string {
  const text = `${metricType}\u001e${field}\u001e${tagsText(tags)}`;
  if (text.length <= SERIES_CHARS_MAX) return text;
  const hash = createHash('sha256').update(text).digest('hex');
  return `${text.slice(0, SERIES_CHARS_MAX - hash.length)}${hash}`;
}
