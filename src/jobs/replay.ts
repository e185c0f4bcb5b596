/**
 * Replays: a topology or a sink's feed again over a past stretch of the log, beside the live stream. It writes into
 * the sinks it was told to (points are idempotent), or compares with what is stored, or only counts. Live goes
 * first: whenever live lag grows, the replay waits.
 *
 * A replay is a durable job of one unit: what its windows hold is not kept, so after a restart it reads its stretch
 * from the beginning, and what it writes lands on itself. The stretch was fixed, in offsets, when it was asked for.
 */
import type { Broker } from '../broker/index.ts';
import { FatalError } from '../model/index.ts';
import { type Clock, nearest, Type } from '../runtime/index.ts';
import {
  type OutputRecord,
  recordBatchOf,
  type SinkPort,
  StageInstance,
  type StageOutputs,
  type Topology,
} from '../stream/index.ts';
import { acceptedAs } from './accept.ts';
import { ended, type JobKind, type JobView, type Json } from './contract.ts';
import type { DiffReport } from './diff-report.ts';
import type { Jobs } from './jobs.ts';
import { liveFirst } from './live-first.ts';
import { RecordDiff } from './replay-diff.ts';
import { type PartitionRange, type ReplayPoint, replayRanges } from './replay-range.ts';
import { runReplay } from './replay-run.ts';

export interface ReplayParts {
  readonly broker: Broker;
  readonly clock: Clock;
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

/** A replay as the contract shows it: a job that waits, is planned or paused counts as running. */
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

/** What a replay was asked for, names checked and positions resolved. */
type ReplayInput = {
  readonly name: string;
  readonly ranges: readonly (Json & PartitionRange)[];
  readonly into: readonly string[];
  readonly diff: boolean;
  /** Everything that is there is read. */
  readonly isAll: boolean;
};

const recordsIn = ({ ranges }: ReplayInput): number =>
  ranges.reduce((sum, range) => sum + range.end - range.start, 0);

export function replayKind(parts: ReplayParts): JobKind<ReplayInput> {
  return {
    name: 'replay',
    noun: 'records',
    runningMax: { jobs: 4, code: 'TOO_MANY_REPLAYS' },
    title: ({ name, into, diff }) =>
      `${name}${into.length > 0 ? ` into ${into.join(', ')}` : ''}${diff ? ', compared' : ''}`,
    accept: (asked) => inputOf(parts, asked),
    async *plan(input) {
      yield { name: input.name, work: null, size: recordsIn(input) };
    },
    async run(_, input, { signal, progress }) {
      const { broker, sinks } = parts;
      const topology = named(parts, input.name);
      // No names: the sinks it goes to were chosen when it was asked for.
      const into = input.into.length > 0 ? intoOf(parts, topology, input.into) : [];
      const stored = input.diff
        ? await RecordDiff.read(broker, topology.outputs, signal)
        : undefined;
      const feeds = into.map((feed) => new FeedRun(feed, sinks, signal));
      const wholeFrom = await runReplay({
        topology,
        broker,
        ranges: input.ranges,
        signal,
        pace: () => liveFirst(parts, signal),
        take: async (outputs) => {
          stored?.take(outputs.records);
          for (const feed of feeds) await feed.take(topology, outputs);
        },
        onProgress: progress,
      });
      const reach = { wholeFrom, isAll: input.isAll };
      return {
        done: recordsIn(input),
        ...(stored === undefined
          ? {}
          : { result: (await stored.report(broker, reach, signal)) as unknown as Json }),
      };
    },
  };
}

const pointSchema = Type.Union([
  Type.Object({ time: Type.Integer() }, { additionalProperties: false }),
  Type.Object({ offset: Type.Integer({ minimum: 0 }) }, { additionalProperties: false }),
]);

const requestSchema = Type.Object(
  {
    name: Type.String(),
    from: pointSchema,
    to: Type.Optional(pointSchema),
    into: Type.Optional(Type.Array(Type.String())),
    diff: Type.Optional(Type.Boolean()),
  },
  { additionalProperties: false },
);

async function inputOf(parts: ReplayParts, asked: unknown): Promise<ReplayInput> {
  const request: ReplayRequest = acceptedAs(requestSchema, asked);
  const topology = named(parts, request.name);
  const into = intoOf(parts, topology, request.into);
  const topics = [...new Set(topology.sources.filter((s) => s.stage === 0).map((s) => s.topic))];
  const ranges = await replayRanges(parts.broker, topics, request.from, request.to);
  return {
    name: topology.name,
    ranges: ranges as ReplayInput['ranges'],
    into: into.map(({ name }) => name),
    diff: request.diff === true,
    isAll: request.to === undefined && ranges.every(({ whole }) => whole),
  };
}

/** Starting and watching replays among the jobs of a process. */
export class Replays {
  readonly #jobs: Jobs;

  constructor(jobs: Jobs) {
    this.#jobs = jobs;
  }

  list(): readonly ReplayJob[] {
    return this.#jobs
      .list()
      .filter(({ kind }) => kind === 'replay')
      .map((job) => this.#replayOf(job));
  }

  get(id: string): ReplayJob | undefined {
    const job = this.#jobs.get(id);
    return job?.kind === 'replay' ? this.#replayOf(job) : undefined;
  }

  /** @throws FatalError UNKNOWN_NAME, UNKNOWN_SINK, RANGE_INVALID, TOO_MANY_REPLAYS. */
  async start(request: ReplayRequest): Promise<ReplayJob> {
    return this.#replayOf(await this.#jobs.submit('replay', request));
  }

  /** The job as it ended; undefined when there is none of that id. */
  async cancel(id: string): Promise<ReplayJob | undefined> {
    if (this.get(id) === undefined) return undefined;
    await this.#jobs.cancel(id);
    return this.get(id);
  }

  #replayOf(job: JobView): ReplayJob {
    const { id, state, progress, createdAt, endedAt, error } = job;
    const { name, into, ...input } = job.input as unknown as ReplayInput;
    const report = ended(state) ? this.#jobs.report(id) : undefined;
    const [failure] = report?.failures ?? [];
    const isFailed = state === 'failed' || state === 'stopped';
    return {
      id,
      name,
      state: isFailed ? 'failed' : state === 'done' || state === 'cancelled' ? state : 'running',
      progress: {
        done: progress.done,
        total: recordsIn(input as ReplayInput),
      },
      startedAt: createdAt,
      endedAt,
      error: isFailed ? (error ?? failureOf(failure)) : null,
      into,
      diff: (report?.results[0]?.result as unknown as DiffReport | undefined) ?? null,
    };
  }
}

const failureOf = (failure: { code: string; message: string } | undefined) =>
  failure === undefined ? null : { code: failure.code, message: failure.message };

function named(parts: ReplayParts, name: string): Topology {
  const all = [...parts.topologies, ...parts.feeds];
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
function intoOf(
  parts: ReplayParts,
  topology: Topology,
  names: readonly string[] | undefined,
): readonly Topology[] {
  if (topology.sinks.length > 0) return names === undefined || names.length > 0 ? [topology] : [];
  const fitting = parts.feeds.filter((feed) =>
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
