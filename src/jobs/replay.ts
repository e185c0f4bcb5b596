/**
 * Replays as jobs: started over HTTP or CLI, beside the live stream, with progress, and cancelled at any time.
 * A replay reads the log again; it writes into the sinks it was told to (points are idempotent), or compares
 * with what is stored, or only counts. Live goes first: whenever live lag grows, the replay waits.
 */
import { randomUUID } from 'node:crypto';
import type { Broker } from '../broker/index.ts';
import { FatalError, messageOf, TidemarkError } from '../model/index.ts';
import { type Clock, type Logger, nearest } from '../runtime/index.ts';
import {
  type OutputRecord,
  recordBatchOf,
  type SinkPort,
  StageInstance,
  type StageOutputs,
  type Topology,
} from '../stream/index.ts';
import { type DiffReport, StoredRecords } from './replay-diff.ts';
import { type PartitionRange, type ReplayPoint, replayRanges } from './replay-range.ts';
import { runReplay } from './replay-run.ts';

export interface ReplayParts {
  readonly broker: Broker;
  readonly clock: Clock;
  readonly logger: Logger;
  /** What may be replayed by name. */
  readonly topologies: readonly Topology[];
  /** Topologies that end in a sink; a replay's `into` names them. */
  readonly feeds: readonly Topology[];
  readonly sinks: ReadonlyMap<string, SinkPort>;
  /** Records that the live tasks of this process are behind. */
  readonly liveLag: () => number;
}

export interface ReplayRequest {
  readonly name: string;
  readonly from: ReplayPoint;
  readonly to?: ReplayPoint;
  readonly into?: readonly string[];
  readonly diff?: boolean;
}

export interface ReplayJob {
  readonly id: string;
  readonly name: string;
  readonly state: 'running' | 'done' | 'failed' | 'cancelled';
  readonly progress: { readonly done: number; readonly total: number };
  readonly startedAt: number;
  readonly endedAt: number | null;
  readonly error: { readonly code: string; readonly message: string } | null;
  readonly into: readonly string[];
  readonly diff: DiffReport | null;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
interface Running {
  job: Mutable<ReplayJob>;
  readonly cancel: AbortController;
}

const RUNNING_MAX = 4;
const REMEMBERED_MAX = 100;
/** Live lag, in records, that a replay may see without waiting. */
const LAG_TOLERATED = 5_000;

export class ReplayJobs {
  readonly #parts: ReplayParts;
  readonly #jobs = new Map<string, Running>();

  constructor(parts: ReplayParts) {
    this.#parts = parts;
  }

  list(): readonly ReplayJob[] {
    return [...this.#jobs.values()].map(({ job }) => job);
  }

  get(id: string): ReplayJob | undefined {
    return this.#jobs.get(id)?.job;
  }

  /** @throws FatalError UNKNOWN_NAME, UNKNOWN_SINK, RANGE_INVALID, TOO_MANY_REPLAYS. */
  async start(request: ReplayRequest): Promise<ReplayJob> {
    const { broker, clock } = this.#parts;
    if (this.list().filter((job) => job.state === 'running').length >= RUNNING_MAX) {
      throw new FatalError(`${RUNNING_MAX} replays run already; wait for one or cancel it`, {
        code: 'TOO_MANY_REPLAYS',
      });
    }
    const topology = this.#named(request.name);
    const into = this.#into(topology, request.into);
    const topics = [...new Set(topology.sources.filter((s) => s.stage === 0).map((s) => s.topic))];
    const ranges = await replayRanges(broker, topics, request.from, request.to);
    const job: Mutable<ReplayJob> = {
      id: randomUUID(),
      name: topology.name,
      state: 'running',
      progress: { done: 0, total: ranges.reduce((sum, range) => sum + range.end - range.start, 0) },
      startedAt: clock.now(),
      endedAt: null,
      error: null,
      into: into.map((feed) => feed.name),
      diff: null,
    };
    const running: Running = { job, cancel: new AbortController() };
    this.#jobs.set(job.id, running);
    this.#forgetOld();
    void this.#run(running, topology, into, ranges, request.diff === true);
    return job;
  }

  /** The job as it ended; undefined when there is none of that id. */
  async cancel(id: string): Promise<ReplayJob | undefined> {
    const running = this.#jobs.get(id);
    if (running?.job.state === 'running') {
      running.job.state = 'cancelled';
      running.job.endedAt = this.#parts.clock.now();
      running.cancel.abort(new Error('the replay was cancelled'));
    }
    return running?.job;
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#jobs.keys()].map((id) => this.cancel(id)));
  }

  async #run(
    running: Running,
    topology: Topology,
    into: readonly Topology[],
    ranges: readonly PartitionRange[],
    diff: boolean,
  ): Promise<void> {
    const { job, cancel } = running;
    const { broker, clock, logger } = this.#parts;
    const { signal } = cancel;
    try {
      const stored = diff ? await StoredRecords.read(broker, topology.outputs, signal) : undefined;
      const feeds = into.map((feed) => new FeedRun(feed, this.#parts.sinks, signal));
      await runReplay({
        topology,
        broker,
        ranges,
        signal,
        pace: () => this.#pace(signal),
        take: async (outputs) => {
          stored?.compare(outputs.records);
          for (const feed of feeds) await feed.take(topology, outputs);
        },
        onProgress: (records) => {
          job.progress = { done: job.progress.done + records, total: job.progress.total };
        },
      });
      if (stored !== undefined) job.diff = stored.report();
      if (job.state === 'running') job.state = 'done';
    } catch (error) {
      if (job.state === 'running') {
        job.state = 'failed';
        job.error = {
          code: error instanceof TidemarkError ? error.code : 'REPLAY_FAILED',
          message: messageOf(error),
        };
        logger.error(
          { replay: job.id, name: job.name, error: messageOf(error) },
          'a replay failed',
        );
      }
    }
    job.endedAt ??= clock.now();
  }

  /** Lets the event loop turn after each batch, and waits while live is behind. */
  async #pace(signal: AbortSignal): Promise<void> {
    const { clock, liveLag } = this.#parts;
    await new Promise((resolve) => setImmediate(resolve));
    while (liveLag() > LAG_TOLERATED) await clock.sleep(50, signal);
  }

  #named(name: string): Topology {
    const all = [...this.#parts.topologies, ...this.#parts.feeds];
    const found = all.find((topology) => topology.name === name);
    if (found !== undefined) return found;
    const names = all.map((topology) => topology.name);
    const close = nearest(name, names);
    throw new FatalError(
      `no topology or sink is named "${name}"${close === undefined ? '' : `; did you mean "${close}"?`} There are: ${names.join(', ')}`,
      { code: 'UNKNOWN_NAME' },
    );
  }

  /** A feed replays into its own sink; a topology into feeds that read what it derives. */
  #into(topology: Topology, names: readonly string[] | undefined): readonly Topology[] {
    if (topology.sinks.length > 0) return names === undefined || names.length > 0 ? [topology] : [];
    const fitting = this.#parts.feeds.filter((feed) =>
      feed.sources.every((s) => topology.outputs.includes(s.topic)),
    );
    return (names ?? []).map((name) => {
      const feed = fitting.find((f) => f.name === name);
      if (feed !== undefined) return feed;
      throw new FatalError(
        `"${name}" is no sink that takes what ${topology.name} derives; there are: ${fitting.map((f) => f.name).join(', ') || 'none configured'}`,
        { code: 'UNKNOWN_SINK' },
      );
    });
  }

  #forgetOld(): void {
    const ended = [...this.#jobs].filter(([, { job }]) => job.state !== 'running');
    for (const [id] of ended.slice(0, Math.max(0, ended.length - REMEMBERED_MAX)))
      this.#jobs.delete(id);
  }
}

/** A feed that takes records directly instead of from its topic. */
class FeedRun {
  readonly #feed: Topology;
  readonly #sinks: ReadonlyMap<string, SinkPort>;
  readonly #signal: AbortSignal;
  readonly #instance: StageInstance;
  #offset = 0;

  constructor(feed: Topology, sinks: ReadonlyMap<string, SinkPort>, signal: AbortSignal) {
    this.#feed = feed;
    this.#sinks = sinks;
    this.#signal = signal;
    this.#instance = new StageInstance({ topology: feed, stage: 0, partition: 0, partitions: 1 });
  }

  async take(topology: Topology, outputs: StageOutputs): Promise<void> {
    if (topology === this.#feed) return this.#write(outputs);
    for (const { topic } of this.#feed.sources) {
      const records = outputs.records.filter((record: OutputRecord) => record.topic === topic);
      if (records.length === 0) continue;
      const loose = records.map((r) => ({
        key: r.key,
        value: r.value,
        offset: this.#offset++,
        timestamp: r.timestamp ?? 0,
      }));
      this.#instance.process(recordBatchOf(topic, 0, loose));
      await this.#instance.drained();
    }
    await this.#write(this.#instance.takeOutputs());
  }

  async #write(outputs: StageOutputs): Promise<void> {
    for (const { sink, points } of outputs.points) {
      const port = this.#sinks.get(sink);
      if (port === undefined)
        throw new FatalError(`the sink "${sink}" is not configured; name its server, then replay`, {
          code: 'UNKNOWN_SINK',
        });
      await port.write(points, this.#signal);
    }
  }
}
