/**
 * The engine's figures, taken twice a second while somebody watches and once a second otherwise. What costs
 * nothing but memory is always taken, so that a page that opens shows the last minutes at once; what asks the
 * log or the sinks is only taken for watchers, one question at a time.
 *
 * Bounds: `KEPT_SAMPLES` samples of one second each; a slow answer of the log leaves the older figures standing.
 */
import { messageOf } from '../../model/index.ts';
import type { Clock, Logger } from '../../runtime/index.ts';
import type { BacklogView, EngineView, LiveWindow, TopologyView } from '../contract.ts';
import { RateMeter } from './rate-meter.ts';

export const SAMPLE_INTERVAL_MS = 500;
/** Five minutes. */
export const KEPT_SAMPLES = 300;
/** Backlogs and topics are asked for this often. */
const ASK_INTERVAL_MS = 1_000;
const OPTIONAL_PARTS = ['fleet', 'annotations'] as const;
const NETWORKS = ['mainnet', 'testnet', 'devnet'] as const;

export interface TopologyFigures {
  readonly name: string;
  /** Records per second over the last two seconds. */
  readonly rate: number;
  readonly lag: number;
  readonly watermark: number | null;
  readonly tasks: number;
  /** Tasks that are not running. */
  readonly troubled: number;
  readonly restarts: number;
  readonly error: string | null;
}

export interface NetworkFigures {
  readonly id: string;
  readonly lastSlot: number | null;
  readonly movingAverage: number | null;
  readonly open: LiveWindow | null;
  readonly closed: LiveWindow | null;
}

export interface TopicFigures {
  readonly name: string;
  readonly rate: number;
  readonly records: number;
}

export interface Sample {
  readonly seq: number;
  /** When it was taken, ms. */
  readonly at: number;
  /** Which parts this engine has: their routes exist. */
  readonly offers: readonly string[];
  readonly ready: boolean;
  readonly reasons: readonly string[];
  readonly topologies: readonly TopologyFigures[];
  readonly networks: readonly NetworkFigures[];
  readonly topics: readonly TopicFigures[];
  readonly sinks: readonly BacklogView[];
}

export interface Taken {
  readonly sample: Sample;
  /** `sample` as it is sent; made once for all watchers. */
  readonly json: string;
}

export class Sampler {
  readonly #engine: EngineView;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #kept: Taken[] = [];
  readonly #watchers = new Set<(taken: Taken) => void>();
  readonly #records = new RateMeter();
  readonly #appended = new RateMeter();
  #seq = 0;
  #topics: readonly TopicFigures[] = [];
  #sinks: readonly BacklogView[] = [];
  #asking = false;
  #askedMs = Number.NEGATIVE_INFINITY;

  constructor(engine: EngineView, clock: Clock, logger: Logger) {
    this.#engine = engine;
    this.#clock = clock;
    this.#logger = logger;
  }

  /** Until the returned function is called. */
  start(): () => void {
    let tick = 0;
    return this.#clock.every(SAMPLE_INTERVAL_MS, () => {
      tick++;
      if (this.#watchers.size > 0) this.#ask();
      if (this.#watchers.size > 0 || tick % 2 === 0) this.#take(tick % 2 === 0);
    });
  }

  get watchers(): number {
    return this.#watchers.size;
  }

  /** Samples after `seq`, oldest first; undefined when some of them are no longer kept. */
  after(seq: number): readonly Taken[] | undefined {
    if (seq > this.#seq) return undefined;
    const first = this.#kept[0]?.sample.seq ?? this.#seq + 1;
    if (seq + 1 < first) return undefined;
    return this.#kept.filter(({ sample }) => sample.seq > seq);
  }

  last(count: number): readonly Taken[] {
    return count === 0 ? [] : this.#kept.slice(-count);
  }

  /** `watcher` must not throw. Until the returned function is called. */
  watch(watcher: (taken: Taken) => void): () => void {
    this.#watchers.add(watcher);
    this.#ask();
    return () => this.#watchers.delete(watcher);
  }

  #take(keep: boolean): void {
    let taken: Taken;
    try {
      const sample = this.#sample();
      taken = { sample, json: JSON.stringify(sample) };
    } catch (error) {
      // A task that is just being replaced has nothing to tell; the next sample will.
      this.#logger.warn({ error: messageOf(error) }, 'a sample of the figures failed');
      return;
    }
    if (keep) {
      this.#kept.push(taken);
      if (this.#kept.length > KEPT_SAMPLES) this.#kept.shift();
    }
    for (const watcher of this.#watchers) watcher(taken);
  }

  #sample(): Sample {
    const now = this.#clock.now();
    const { ready, reasons } = this.#engine.readiness();
    return {
      seq: ++this.#seq,
      at: now,
      offers: OPTIONAL_PARTS.filter((part) => this.#engine[part] !== undefined),
      ready,
      reasons,
      topologies: this.#engine.topologies().map((topology) => this.#topology(topology, now)),
      networks: NETWORKS.flatMap((name) => this.#network(name)),
      topics: this.#topics,
      sinks: this.#sinks,
    };
  }

  #topology({ name, tasks }: TopologyView, now: number): TopologyFigures {
    const offsets = tasks.flatMap((task) => task.offsets);
    // Stages behind an internal topic run on its time, which says little to people.
    const first = tasks.filter((t) => t.offsets.some((o) => !o.topic.startsWith('tidemark.')));
    const watermarks = (first.length > 0 ? first : tasks).flatMap((t) => t.watermark ?? []);
    const places = offsets.map((o) => [`${o.topic}/${o.partition}`, o.nextOffset] as const);
    return {
      name,
      rate: this.#records.rate(name, now, places),
      lag: offsets.reduce((sum, { lag }) => sum + lag, 0),
      watermark: watermarks.length === 0 ? null : Math.min(...watermarks),
      tasks: tasks.length,
      troubled: tasks.filter(({ state }) => state !== 'running').length,
      restarts: tasks.reduce((sum, { restarts }) => sum + restarts, 0),
      error: tasks.find(({ error }) => error !== null)?.error ?? null,
    };
  }

  #network(name: string): readonly NetworkFigures[] {
    const entry = this.#engine.live.network(name);
    if (entry === undefined) return [];
    const { id, lastSlot, movingAverage, open, closed } = entry;
    return [{ id, lastSlot, movingAverage, open, closed }];
  }

  #ask(): void {
    const now = this.#clock.now();
    if (this.#asking || now - this.#askedMs < ASK_INTERVAL_MS) return;
    this.#asking = true;
    this.#askedMs = now;
    void Promise.all([this.#engine.broker.describeTopics(), this.#engine.backlog()])
      .then(([topics, sinks]) => {
        const at = this.#clock.now();
        this.#sinks = sinks;
        this.#topics = topics.map(({ name, partitions }) => ({
          name,
          rate: this.#appended.rate(
            name,
            at,
            partitions.map((p) => [String(p.partition), p.nextOffset] as const),
          ),
          records: partitions.reduce((sum, p) => sum + p.nextOffset - p.firstOffset, 0),
        }));
      })
      .catch((error) =>
        this.#logger.warn({ error: messageOf(error) }, 'topics and backlogs did not answer'),
      )
      .finally(() => {
        this.#asking = false;
      });
  }
}
