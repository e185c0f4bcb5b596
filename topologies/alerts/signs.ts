/**
 * Signs of life: of each subject one per bucket of event time in which it gave a record. Reads columns only:
 * votes come by the ten thousand.
 */
import {
  type Batch,
  forEachRow,
  isTextColumn,
  jsonValues,
  madeFrom,
  type Operator,
  operator,
  Table,
  type TextColumn,
} from '../../src/stream/index.ts';
import type { Sign } from './observation.ts';

export interface SignsOptions {
  readonly measure: string;
  readonly bucketMs: number;
  /** The text field that names the subject. */
  readonly by: string;
  /** The text field whose value is the scope; absent: all are of one. */
  readonly scope?: string;
  /** What people are shown, given the subject's name and scope. */
  readonly subject: (name: string, scope: string) => string;
  readonly labels: (name: string, scope: string) => Readonly<Record<string, string>>;
}

/** A subject that gives no sign for so many buckets is forgotten here; its next one is a sign all the same. */
const FORGET_BUCKETS = 1_000;

export function signs<T>(options: SignsOptions): Operator<T, Sign> {
  const { measure, bucketMs, by } = options;
  const detail = { by, bucketMs, ...(options.scope === undefined ? {} : { scope: options.scope }) };
  return operator<T, Sign>({ kind: 'signs', detail }, (task) => {
    /** The newest bucket of each subject. */
    const newest = new Table<number>(jsonValues());
    task.store(newest);
    let sweptAt = 0;
    return {
      next: (batch, emit) => {
        const names = textOf(batch, by);
        const scopes = options.scope === undefined ? undefined : textOf(batch, options.scope);
        const rows: Sign[] = [];
        const from: number[] = [];
        /** As of this batch, by the numbers of name and scope: nearly all rows end here. */
        const seen = new Map<number, number>();
        const width = (scopes?.dictionary.size ?? 0) + 1;
        forEachRow(batch, (i) => {
          const bucket = Math.floor((batch.timestamps[i] as number) / bucketMs);
          const code = names.codes[i] as number;
          const scopeCode = scopes === undefined ? 0 : (scopes.codes[i] as number);
          if (code < 0 || scopeCode < 0) return;
          const pair = code * width + scopeCode;
          const before = seen.get(pair);
          if (before !== undefined && before >= bucket) return;
          const name = names.dictionary.text(code);
          const scope = scopes === undefined ? '' : scopes.dictionary.text(scopeCode);
          const key = scope === '' ? name : `${name}\u001f${scope}`;
          const known = Math.max(newest.get(key) ?? Number.NEGATIVE_INFINITY, before ?? 0);
          seen.set(pair, Math.max(known, bucket));
          if (known >= bucket) return;
          newest.set(key, bucket);
          const sign = { measure, key, scope, bucket };
          rows.push({
            ...sign,
            subject: options.subject(name, scope),
            labels: options.labels(name, scope),
          });
          from.push(i);
        });
        const now = Math.floor(batch.watermark / bucketMs);
        if (now >= sweptAt + FORGET_BUCKETS) {
          sweptAt = now;
          for (const [key, bucket] of [...newest.entries()])
            if (bucket < now - FORGET_BUCKETS) newest.delete(key);
        }
        emit(madeFrom(batch, rows, from));
      },
    };
  });
}

function textOf(batch: Batch<unknown>, field: string): TextColumn {
  const column = batch.columns[field];
  if (column !== undefined && isTextColumn(column)) return column;
  // Nothing in play, or a field that no row has.
  return {
    codes: new Int32Array(batch.length).fill(-1),
    dictionary: { size: 0, text: () => '', codeOf: () => -1 },
  };
}
