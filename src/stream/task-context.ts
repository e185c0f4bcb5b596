/**
 * What a running task offers its operators. While a topology is being built for a task, `currentTask()` is
 * that task; an operator used outside of one (in a plain RxJS pipe, in a marble test) gets a stand-alone
 * context whose state lives in memory.
 */
import type { StateStore } from '../state/index.ts';
import { HeldWork } from './held-work.ts';

/** A record on its way to a topic; it becomes visible with the epoch. */
export interface OutputRecord {
  readonly topic: string;
  readonly key: Buffer | string | null;
  readonly value: Buffer | string | null;
  readonly partition?: number;
  /** Event time, kept by topics with create time. */
  readonly timestamp?: number;
}

export interface TaskContext {
  readonly topology: string;
  readonly partition: number;
  /** How many partitions the stage's inputs have. */
  readonly partitions: number;
  /**
   * Registers a store under the current step's name. The only one of its step removes, with the next epoch, what
   * stores of other suffixes left in it.
   */
  store(store: StateStore, suffix?: string, options?: { readonly isOnlyOne?: boolean }): void;
  /** Appends with this epoch. */
  emit(record: OutputRecord): void;
  /** Points for a sink, written before this epoch's cursor moves; `offset` is the record they stem from. */
  points(sink: string, points: readonly unknown[], origin: PointOrigin): void;
  /** Counts something worth a metric: late records, duplicates, rejects. */
  count(what: TaskCounter, by: number): void;
  /**
   * Work that ends later. The task takes no further batch and cuts no epoch until `then` has run, so that
   * nothing that the work stems from is committed before what it gives. Continuations run in the order of
   * their `defer`s, whatever ends first; what they throw ends the task.
   */
  defer<R>(work: Promise<R>, then: (outcome: PromiseSettledResult<R>) => void): void;
  /**
   * Resolves when others on this thread have had their turn; undefined where nobody else waits for one. Long work
   * asks for it between its parts, by `defer`.
   */
  readonly nextTurn: (() => Promise<void>) | undefined;
  /** Called when the input is caught up and quiet, and again with false when it moves. */
  onIdle(listener: (idle: boolean) => void): void;
  /** The step being built: metric label, store name, node of the picture. */
  readonly step: string;
  /** Offers something to whoever watches the task live (HTTP); last registration of a name wins. */
  expose(name: string, view: unknown): void;
}

export type TaskCounter = 'late' | 'duplicate' | 'rejected' | 'skipped';

/** Where points come from, for the dead letter of one that the sink rejects for good. */
export interface PointOrigin {
  readonly topic: string;
  readonly partition: number;
  /** One per point. */
  readonly offsets: Float64Array;
  original(i: number): { readonly key: Buffer | null; readonly value: Buffer | null };
  /** The topic of their dead letters. Default: `<topic>.dead-letter`. */
  readonly deadLetter?: string;
}

let current: TaskContext | undefined;

/** Runs `build` with `task` as the current one. */
export function withTask<R>(task: TaskContext, build: () => R): R {
  const before = current;
  current = task;
  try {
    return build();
  } finally {
    current = before;
  }
}

/** The task being built, or a stand-alone one. */
export function currentTask(): TaskContext {
  return current ?? standaloneTask();
}

/** A task in no topology: state in memory, outputs in a list. */
export function standaloneTask(): TaskContext & { readonly outputs: OutputRecord[] } {
  const outputs: OutputRecord[] = [];
  const held = new HeldWork();
  return {
    topology: 'standalone',
    partition: 0,
    partitions: 1,
    step: 'step',
    outputs,
    store: (store) => store.restored?.(),
    emit: (record) => void outputs.push(record),
    points: () => {},
    count: () => {},
    defer: (work, then) => held.add(work, then),
    nextTurn: undefined,
    onIdle: () => {},
    expose: () => {},
  };
}
