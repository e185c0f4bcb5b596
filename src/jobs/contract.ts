/**
 * What a durable job is: a kind that cuts its input into units and does one unit at a time, and the views of it
 * that leave the door. Everything else (the queue on disk, retries, pausing, progress) is `Jobs`' and no kind's.
 */

/** What survives a restart: plain JSON, and never a secret. */
export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [key: string]: Json | undefined };

/** A piece of work that is done as a whole or not at all. */
export interface PlannedUnit {
  /** For people and reports: `cpu 2024-01-31T13`. */
  readonly name: string;
  /** What `run` needs to know of it. */
  readonly work: Json;
  /** How much it is, in the kind's noun, as far as the plan can tell. 0: unknown. */
  readonly size: number;
}

/** What came of a unit. */
export interface UnitOutcome {
  /** In the kind's noun. */
  readonly done: number;
  /** Whatever the report should tell of it: values that could not come over exactly, differences found. */
  readonly notes?: readonly string[];
  /** For the report's sums, and for whoever reads the report as JSON. */
  readonly result?: Json;
}

export interface PlanContext {
  readonly signal: AbortSignal;
}

export interface UnitContext extends PlanContext {
  /** From 1; 2 and more follow a failure. A process that died in between does not count. */
  readonly attempt: number;
  /** Done since the last call, for the progress bar; forgotten when the attempt fails. */
  progress(done: number): void;
  /** What an earlier attempt, in whichever process, kept for this one. */
  readonly kept: Json | undefined;
  /** Durable once it resolves. */
  keep(note: Json): Promise<void>;
}

/**
 * One kind of job. `I` is its input as JSON. Errors decide what follows: Retriable → the unit again, after a
 * backoff, up to the attempts allowed; Poison → this unit failed, the others go on; any other → the job stops,
 * its other units wait, and `resume` goes on once the cause is mended.
 */
export interface JobKind<I extends Json = Json> {
  /** `copy-influx`. */
  readonly name: string;
  /** What is counted: `points`, `records`. */
  readonly noun: string;
  /** Jobs of this kind at once, and the code that one too many is refused with. Default: without limit. */
  readonly runningMax?: { readonly jobs: number; readonly code: string };
  /** Units at once, where who starts it does not say. Default 1. */
  readonly unitsAtOnce?: number;
  /** One line that tells the job from others of its kind. */
  title(input: I): string;
  /**
   * All units, in the order in which they are to begin. Called again from the start when the process died
   * before it ended; what it had planned by then is forgotten.
   */
  plan(input: I, context: PlanContext): AsyncIterable<PlannedUnit>;
  /** Does one unit; must bear being done again after a crash that came between its end and our knowing. */
  run(unit: PlannedUnit, input: I, context: UnitContext): Promise<UnitOutcome>;
  /**
   * Checks what a caller from outside asks for and makes it the job's input. A kind without it is started by our
   * own code only. @throws FatalError, whose code is in the catalogue of HTTP problems.
   */
  accept?(asked: unknown): Promise<I>;
  /** Extra lines at the end of the text report, from the units' results. */
  summary?(outcomes: Iterable<UnitOutcome>): readonly string[];
}

/**
 * `stopped`: something that concerns the whole job is in the way; `resume` goes on. `failed`: all units ended and
 * some failed; `retry` tries those again.
 */
export type JobState =
  | 'planning'
  | 'running'
  | 'paused'
  | 'stopped'
  | 'done'
  | 'failed'
  | 'cancelled';

export interface JobFailure {
  readonly unit: string;
  readonly code: string;
  readonly message: string;
  readonly attempts: number;
}

export interface JobView {
  readonly id: string;
  readonly kind: string;
  readonly title: string;
  readonly state: JobState;
  readonly input: Json;
  readonly noun: string;
  readonly units: {
    readonly total: number;
    readonly done: number;
    readonly failed: number;
    /** Being done now, retries that wait for their time included. */
    readonly running: number;
  };
  /** In the noun. `total` is the plan's estimate. */
  readonly progress: { readonly done: number; readonly total: number };
  /** In the noun, since this process took the job up; null before anything was done. */
  readonly perSecond: number | null;
  readonly etaMs: number | null;
  readonly createdAt: number;
  readonly endedAt: number | null;
  /** Why it is stopped, or how the last attempt of a unit ended while it runs. */
  readonly error: { readonly code: string; readonly message: string } | null;
}

export interface JobReport extends JobView {
  /** The first of them; `units.failed` counts all. */
  readonly failures: readonly JobFailure[];
  /** The first of them; `noteCount` counts all. */
  readonly notes: readonly string[];
  readonly noteCount: number;
  /** Unit results in order of the plan, the first ones. */
  readonly results: readonly { readonly unit: string; readonly result: Json }[];
  readonly summary: readonly string[];
}

export const ended = (state: JobState): boolean =>
  state === 'done' || state === 'failed' || state === 'cancelled';
