/**
 * Who has not been heard of while others of the same scope were: silence is counted in the scope's own active
 * time, so that a pause of everything (an outage, the nights of a test network) makes nobody silent. Judged at
 * each active bucket that every partition has passed, never before: what another partition brings later in
 * wall time but earlier in event time is still counted, and the order in which partitions are read changes nothing.
 */
import { jsonValues, Table, type TaskContext } from '../../src/stream/index.ts';
import type { Sign } from './observation.ts';
import { countBetween, cutBefore, greatestUpTo, type Runs, withNumber } from './runs.ts';

interface Subject {
  readonly subject: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly scope: string;
  readonly runs: Runs;
}

interface Scope {
  readonly runs: Runs;
  /** The last bucket that was judged; null: none. */
  readonly judged: number | null;
}

export interface Silent {
  readonly key: string;
  readonly subject: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Of the scope's active time; 0 when it was just heard of. */
  readonly silenceMs: number;
  /** End of the bucket that was judged. */
  readonly at: number;
}

export class SilenceWatch {
  readonly #subjects = new Table<Subject>(jsonValues());
  readonly #scopes = new Table<Scope>(jsonValues());
  readonly #bucketMs: number;
  readonly #forgetMs: number;

  /** `forgetMs`: a subject silent for longer is forgotten. */
  constructor(
    task: TaskContext,
    options: { readonly bucketMs: number; readonly forgetMs: number },
  ) {
    this.#bucketMs = options.bucketMs;
    this.#forgetMs = options.forgetMs;
    task.store(this.#subjects, '/subjects');
    task.store(this.#scopes, '/scopes');
  }

  take({ key, subject, labels, scope, bucket }: Sign): void {
    const known = this.#subjects.get(key);
    this.#subjects.set(key, {
      subject,
      labels,
      scope,
      runs: withNumber(known?.runs ?? [], bucket),
    });
    const { runs, judged } = this.#scopes.get(scope) ?? { runs: [], judged: null };
    this.#scopes.set(scope, { runs: withNumber(runs, bucket), judged });
  }

  /** Judges every active bucket that ends at or before `time` and was not judged; `each` per subject not heard of in it, or that was silent up to it. */
  passed(
    time: number,
    each: (silent: Silent) => void,
    forgotten: (key: string, at: number) => void,
  ): void {
    const upTo = Math.floor(time / this.#bucketMs) - 1;
    for (const [name, scope] of [...this.#scopes.entries()]) {
      const buckets = [...numbersAfter(scope.runs, scope.judged ?? Number.NEGATIVE_INFINITY, upTo)];
      if (buckets.length === 0) continue;
      const subjects = [...this.#subjects.entries()].filter(([, s]) => s.scope === name);
      for (const bucket of buckets) {
        for (const [key, subject] of subjects) this.#judge(key, subject, scope.runs, bucket, each);
      }
      const last = buckets.at(-1) as number;
      const oldest = last - Math.ceil(this.#forgetMs / this.#bucketMs);
      this.#scopes.set(name, { runs: cutBefore(scope.runs, oldest), judged: last });
      for (const [key, subject] of subjects) {
        const heard = greatestUpTo(subject.runs, last);
        if (heard !== undefined && heard < oldest && heard === subject.runs.at(-1)) {
          this.#subjects.delete(key);
          forgotten(key, (last + 1) * this.#bucketMs);
        } else if (subject.runs.length > 2) {
          this.#subjects.set(key, { ...subject, runs: cutBefore(subject.runs, last) });
        }
      }
    }
  }

  #judge(
    key: string,
    { subject, labels, runs }: Subject,
    active: Runs,
    bucket: number,
    each: (silent: Silent) => void,
  ): void {
    const heard = greatestUpTo(runs, bucket);
    // Not heard of yet at that time.
    if (heard === undefined) return;
    const silenceMs = heard === bucket ? 0 : countBetween(active, heard, bucket) * this.#bucketMs;
    each({ key, subject, labels, silenceMs, at: (bucket + 1) * this.#bucketMs });
  }
}

/** Members of the set in (after, upTo], ascending. */
function* numbersAfter(runs: Runs, after: number, upTo: number): Generator<number> {
  for (let i = 0; i < runs.length; i += 2) {
    const to = Math.min(runs[i + 1] as number, upTo);
    for (let n = Math.max(runs[i] as number, after + 1); n <= to; n++) yield n;
  }
}
