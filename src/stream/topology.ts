/**
 * A topology is a value: a name and a function that draws it. The drawing is run once to describe it and once
 * per task to build that task's pipes; it must therefore do nothing but draw.
 *
 *   topology('vote-latency', ({ source }) => {
 *     source('votes', voteCodec).pipe('dedup', dedup({ … })).to('votes.clean', …)
 *   })
 *
 * A topology has stages. Stage 0 reads the sources that the user names; `acrossPartitions` starts a later stage
 * behind an internal topic. Each stage is a consumer group of its own, each partition number one task of it.
 */
import { createHash } from 'node:crypto';
import { EMPTY, type Observable, type OperatorFunction, share, tap } from 'rxjs';
import { FatalError } from '../model/index.ts';
import type { Batch } from './batch.ts';
import type { Codec } from './codec.ts';
import { forEachRow } from './for-each-row.ts';
import { describeOperator } from './operator.ts';
import { currentTask } from './task-context.ts';

export interface SourceOptions {
  /** A record that can't be decoded: to `<topic>.dead-letter` (default), or counted and skipped. */
  readonly rejects?: 'dead-letter' | 'skip';
  /**
   * A record whose event time is more than this past the log's own time is rejected as TIMESTAMP_IN_FUTURE, so
   * that one wrong clock can't make all others late. Default 1 h; Infinity turns it off.
   */
  readonly futureToleranceMs?: number;
  /** Where a new group begins. Default `earliest`. */
  readonly from?: 'earliest' | 'latest';
  /**
   * The text field that is the key of a record published without one, so that records which belong together
   * come into one partition. It changes nothing in how the topic is read.
   */
  readonly key?: string;
}

export interface SourceDefinition {
  readonly topic: string;
  readonly codec: Codec<unknown>;
  readonly stage: number;
  readonly rejects: 'dead-letter' | 'skip';
  readonly futureToleranceMs: number;
  readonly from: 'earliest' | 'latest';
  readonly key?: string;
  /** Internal topics are made with this many partitions; users' topics keep what they have. */
  readonly internal: boolean;
}

export interface GraphNode {
  readonly id: string;
  readonly kind: string;
  readonly label: string;
  readonly stage: number;
  readonly detail: Readonly<Record<string, unknown>>;
}

export interface GraphEdge {
  readonly from: string;
  readonly to: string;
}

export interface Graph {
  readonly nodes: readonly GraphNode[];
  readonly edges: readonly GraphEdge[];
}

/** How rows of a stream become records of a topic. */
export interface Encoding<T> {
  readonly key: (row: T) => string | Buffer | null;
  readonly value: (row: T) => string | Buffer | null;
  /** Event time of the record, for topics with create time. */
  readonly timestamp?: (row: T) => number;
}

export interface IntoOptions {
  /** Where points go that the sink rejects for good. Default: `<topic>.dead-letter` of the topic they stem from. */
  readonly deadLetter?: string;
}

/** How rows become a sink's points; none, one or several a row. */
export type ToPoints<T, P> = (row: T) => readonly P[];

/** What a drawing is drawn onto: a description, or one task. */
export interface Canvas {
  /** Undefined while describing; else only this stage's pipes are built. */
  readonly stage: number | undefined;
  /** Name of the step under construction, for `currentTask().step`. */
  step(name: string): void;
  source(definition: SourceDefinition): Observable<Batch<unknown>>;
  finish(observable: Observable<Batch<unknown>>): void;
}

/** Draws nodes and edges while canvases come and go. */
export class Drawing {
  readonly nodes: GraphNode[] = [];
  readonly edges: GraphEdge[] = [];
  readonly sources: SourceDefinition[] = [];
  readonly outputs = new Set<string>();
  readonly sinks = new Set<string>();
  readonly name: string;
  readonly canvas: Canvas;
  readonly #ids = new Map<string, number>();

  constructor(name: string, canvas: Canvas) {
    this.name = name;
    this.canvas = canvas;
  }

  node(
    kind: string,
    label: string,
    stage: number,
    detail: Readonly<Record<string, unknown>> = {},
  ): string {
    const slug = label.toLowerCase().replaceAll(/[^a-z0-9]+/g, '_');
    const seen = (this.#ids.get(slug) ?? 0) + 1;
    this.#ids.set(slug, seen);
    const id = seen === 1 ? slug : `${slug}_${seen}`;
    this.nodes.push({ id, kind, label, stage, detail });
    return id;
  }

  /** The node of a step that was drawn before. */
  stepNamed(name: string): string {
    const node = this.nodes.find((n) => n.label === name && isStep(n));
    if (node === undefined) throw new Error(`BUG: no step "${name}" is drawn yet`);
    return node.id;
  }
}

/** Rows flowing: what a source gives and what a step gives again. */
export class Stream<T> {
  readonly #drawing: Drawing;
  readonly #node: string;
  readonly #stage: number;
  readonly #rows: Observable<Batch<T>>;

  constructor(drawing: Drawing, node: string, stage: number, rows: Observable<Batch<T>>) {
    this.#drawing = drawing;
    this.#node = node;
    this.#stage = stage;
    this.#rows = rows;
  }

  /**
   * One step. Its name is its metric label, its state store's name and its node in the picture: unique within
   * the topology. Any `OperatorFunction` over batches fits, ours or RxJS' own, if it answers in the same tick.
   */
  pipe<R>(name: string, step: OperatorFunction<Batch<T>, Batch<R>>): Stream<R> {
    const { kind, detail, reads } = describeOperator(step);
    const node = this.#draw(kind, name, detail);
    if (reads !== undefined)
      this.#drawing.edges.push({ from: this.#drawing.stepNamed(reads), to: node });
    this.#drawing.canvas.step(name);
    // Shared: a step that several others follow runs once per batch, not once per follower.
    const rows = this.#live ? this.#rows.pipe(step, share()) : EMPTY;
    return new Stream(this.#drawing, node, this.#stage, rows);
  }

  /** Ends in a step that keeps what it sees and passes nothing on: a table's. Its name is as in `pipe`. */
  keep(name: string, step: OperatorFunction<Batch<T>, Batch<unknown>>): void {
    const { kind, detail } = describeOperator(step);
    this.#draw(kind, name, detail);
    this.#drawing.canvas.step(name);
    if (this.#live) this.#drawing.canvas.finish(this.#rows.pipe(step));
  }

  /** Ends in a topic: each row becomes a record of it, with the epoch. */
  to(topic: string, encoding: Encoding<T>): void {
    const node = this.#drawing.nodes.find((n) => n.kind === 'topic' && n.label === topic);
    const id = node?.id ?? this.#drawing.node('topic', topic, this.#stage);
    this.#drawing.edges.push({ from: this.#node, to: id });
    this.#drawing.outputs.add(topic);
    if (!this.#live) return;
    const task = currentTask();
    this.#finish((batch, i) => {
      const row = batch.row(i);
      const timestamp = encoding.timestamp?.(row);
      task.emit({
        topic,
        key: encoding.key(row),
        value: encoding.value(row),
        ...(timestamp === undefined ? {} : { timestamp }),
      });
    });
  }

  /** Ends in a sink that the wiring binds by name; the cursor moves only after the points are stored. */
  into<P>(sink: string, toPoints: ToPoints<T, P>, options: IntoOptions = {}): void {
    const { deadLetter } = options;
    this.#draw('sink', sink, deadLetter === undefined ? {} : { deadLetter });
    this.#drawing.sinks.add(sink);
    if (!this.#live) return;
    const task = currentTask();
    this.#drawing.canvas.finish(
      this.#tap((batch) => {
        const points: P[] = [];
        const rows: number[] = [];
        forEachRow(batch, (i) => {
          for (const point of toPoints(batch.row(i))) {
            points.push(point);
            rows.push(i);
          }
        });
        if (points.length === 0) return;
        task.points(sink, points, {
          topic: batch.topic,
          partition: batch.partition,
          offsets: Float64Array.from(rows, (i) => batch.offsets[i] as number),
          original: (k) => batch.original(rows[k] as number),
          ...(deadLetter === undefined ? {} : { deadLetter }),
        });
      }),
    );
  }

  /**
   * Goes on in a next stage, behind an internal topic with one partition, where the parts of all partitions
   * come together. `send` writes the parts, `codec` reads them there.
   */
  acrossPartitions<P>(
    name: string,
    send: (topic: string) => OperatorFunction<Batch<T>, Batch<T>>,
    codec: Codec<P>,
  ): Stream<P> {
    const topic = `tidemark.${this.#drawing.name}.${name}`;
    const step = send(topic);
    const { kind, detail } = describeOperator(step);
    const node = this.#draw(kind, name, detail);
    this.#drawing.canvas.step(name);
    if (this.#live) this.#drawing.canvas.finish(this.#rows.pipe(step));
    const next = openSource(this.#drawing, {
      topic,
      codec: codec as Codec<unknown>,
      stage: this.#stage + 1,
      rejects: 'dead-letter',
      futureToleranceMs: Number.POSITIVE_INFINITY,
      from: 'earliest',
      internal: true,
    });
    this.#drawing.edges.push({ from: node, to: next.node });
    return next.stream as Stream<P>;
  }

  get #live(): boolean {
    return this.#drawing.canvas.stage === this.#stage;
  }

  #draw(kind: string, label: string, detail: Readonly<Record<string, unknown>>): string {
    const id = this.#drawing.node(kind, label, this.#stage, detail);
    this.#drawing.edges.push({ from: this.#node, to: id });
    return id;
  }

  #finish(each: (batch: Batch<T>, i: number) => void): void {
    this.#drawing.canvas.finish(this.#tap((batch) => forEachRow(batch, (i) => each(batch, i))));
  }

  #tap(see: (batch: Batch<T>) => void): Observable<Batch<unknown>> {
    return this.#rows.pipe(tap(see));
  }
}

function openSource(
  drawing: Drawing,
  definition: SourceDefinition,
): { node: string; stream: Stream<unknown> } {
  const label = definition.topic;
  const existing = drawing.nodes.find((n) => n.kind === 'topic' && n.label === label);
  const node =
    existing?.id ??
    drawing.node('topic', label, definition.stage, { codec: definition.codec.name });
  drawing.sources.push(definition);
  const live = drawing.canvas.stage === definition.stage;
  const rows = live ? drawing.canvas.source(definition) : EMPTY;
  return { node, stream: new Stream(drawing, node, definition.stage, rows) };
}

/** What the drawing function gets. */
export interface TopologyBuilder {
  /** Rows of a topic; several sources of one topology are co-partitioned: task p reads partition p of each. */
  source<T>(topic: string, codec: Codec<T>, options?: SourceOptions): Stream<T>;
}

/** A drawing and its name. Describe it, run it, replay it: it is the same value. */
export class Topology {
  readonly name: string;
  readonly sources: readonly SourceDefinition[];
  readonly outputs: readonly string[];
  readonly sinks: readonly string[];
  readonly graph: Graph;
  /** Changes when steps, options or topics change; kept with each epoch. */
  readonly hash: string;
  readonly stages: number;
  readonly #draw: (builder: TopologyBuilder) => void;

  constructor(name: string, draw: (builder: TopologyBuilder) => void) {
    if (!/^[a-z0-9][a-z0-9.-]{0,99}$/.test(name)) {
      throw new FatalError(
        `topology name "${name}": use lower-case letters, digits, dots and dashes, at most 100`,
        { code: 'TOPOLOGY_NAME_INVALID' },
      );
    }
    this.name = name;
    this.#draw = draw;
    const drawing = this.drawOn({ stage: undefined, step() {}, source: () => EMPTY, finish() {} });
    this.sources = drawing.sources;
    this.outputs = [...drawing.outputs];
    this.sinks = [...drawing.sinks];
    this.graph = { nodes: drawing.nodes, edges: drawing.edges };
    this.stages = Math.max(0, ...drawing.sources.map((s) => s.stage + 1));
    this.hash = createHash('sha256').update(JSON.stringify(this.graph)).digest('hex').slice(0, 16);
    checkNames(this);
  }

  /** Runs the drawing function once onto a canvas. */
  drawOn(canvas: Canvas): Drawing {
    const drawing = new Drawing(this.name, canvas);
    this.#draw({
      source: <T>(topic: string, codec: Codec<T>, options: SourceOptions = {}) =>
        openSource(drawing, {
          topic,
          codec: codec as Codec<unknown>,
          stage: 0,
          rejects: options.rejects ?? 'dead-letter',
          futureToleranceMs: options.futureToleranceMs ?? 3_600_000,
          from: options.from ?? 'earliest',
          ...(options.key === undefined ? {} : { key: options.key }),
          internal: false,
        }).stream as unknown as Stream<T>,
    });
    return drawing;
  }

  /** Consumer group of a stage; also the prefix of its tasks' ids. */
  group(stage: number): string {
    return stage === 0 ? `tidemark.${this.name}` : `tidemark.${this.name}.stage-${stage}`;
  }
}

/** Names a drawing. See the head of this file. */
export function topology(name: string, draw: (builder: TopologyBuilder) => void): Topology {
  return new Topology(name, draw);
}

const isStep = ({ kind }: GraphNode): boolean => kind !== 'topic' && kind !== 'sink';

function checkNames(drawn: Topology): void {
  if (drawn.sources.length === 0) {
    throw new FatalError(
      `topology "${drawn.name}" reads nothing: begin with source(topic, codec)`,
      {
        code: 'TOPOLOGY_EMPTY',
      },
    );
  }
  const steps = drawn.graph.nodes.filter(isStep);
  const seen = new Set<string>();
  for (const { label } of steps) {
    if (seen.has(label)) {
      throw new FatalError(
        `topology "${drawn.name}" has two steps named "${label}"; a step's name is its state's name, so give them two`,
        { code: 'STEP_NAME_TWICE' },
      );
    }
    seen.add(label);
  }
}
