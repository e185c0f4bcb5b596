/**
 * The two ends of `acrossPartitions`: stage n sends each partition's closed windows (parts) and how far its
 * watermark came; stage n+1 merges the parts of a window, in partition order, once every partition has passed
 * it. A partition that is caught up and quiet does not hold the others back; that decision is itself a record
 * of the internal topic, so a replay of it decides alike. A part that comes after its window was given re-emits
 * the window with revision + 1, so the last revision is always the whole.
 */
import { jsonValues, Table } from '../../state/index.ts';
import type { Aggregate, OffsetRange, Windowed } from '../aggregate.ts';
import type { Batch } from '../batch.ts';
import type { Codec } from '../codec.ts';
import { joinKey } from '../key-index.ts';
import { type Operator, operator } from '../operator.ts';
import { rowDecoder } from '../row-decoder.ts';
import type { TaskContext } from '../task-context.ts';
import type { TimeWindows } from '../windows.ts';
import { type PartitionProgress, passedByAll, progressSender } from './progress.ts';
import { windowedBatch } from './window.ts';

interface PartRecord {
  readonly kind: 'part';
  readonly partition: number;
  readonly key: readonly string[];
  readonly carried: Readonly<Record<string, string>>;
  readonly start: number;
  readonly end: number;
  readonly firstOffset: number;
  readonly lastOffset: number;
  readonly late: number;
  readonly duplicates: number;
  /** Aggregate, base64. */
  readonly state: string;
}

export type Part = PartitionProgress | PartRecord;

/** JSON of the internal topic. */
export const partCodec: Codec<Part> = {
  name: 'part',
  createDecoder: () => rowDecoder((text) => ({ row: JSON.parse(text) as Part, timestamp: 0 })),
  encode: (row) => Buffer.from(JSON.stringify(row)),
};

/** Sends closed windows and progress to the internal topic; passes rows on. */
export function sendParts<S>(
  topic: string,
  windows: TimeWindows,
  aggregate: Aggregate<S>,
): Operator<Windowed<S>, Windowed<S>> {
  const detail = { aggregate: aggregate.name };
  return operator<Windowed<S>, Windowed<S>>({ kind: 'across', detail }, (task) => {
    const progress = progressSender<PartRecord>(task, topic, windows.sizeMs);
    return {
      next: (batch, emit) => {
        for (let i = 0; i < batch.length; i++) {
          const row = batch.row(i);
          if (row.state === undefined) continue;
          const { key, carried, start, end, firstOffset, lastOffset, late, duplicates } = row;
          const state = aggregate.encode(row.state).toString('base64');
          progress.send({
            kind: 'part',
            partition: row.partition,
            key,
            carried,
            start,
            end,
            firstOffset,
            lastOffset,
            late,
            duplicates,
            state,
          });
        }
        progress.reach(batch.watermark, batch.watermark - windows.graceMs);
        emit(batch);
      },
    };
  });
}

/** Merges the parts of all partitions into whole windows. */
export function mergeParts<S>(
  windows: TimeWindows,
  aggregate: Aggregate<S>,
): Operator<Part, Windowed<S>> {
  return operator<Part, Windowed<S>>(
    { kind: 'merge', detail: { sizeMs: windows.sizeMs, graceMs: windows.graceMs } },
    (task) => {
      const step = new MergeStep<S>(windows, aggregate, task);
      return { next: (batch, emit) => step.next(batch, emit) };
    },
  );
}

/** Windows kept after they were given, in case a partition that was idle still adds to them. */
const GIVEN_WINDOWS_MAX = 4_096;

interface Pending {
  readonly key: readonly string[];
  readonly start: number;
  readonly end: number;
  parts: PartRecord[];
  /** -1: not yet given. */
  revision: number;
  changed: boolean;
}

class MergeStep<S> {
  readonly #progress = new Table<PartitionProgress>(jsonValues());
  readonly #pending = new Table<Pending>(jsonValues());
  /** One entry: windows that end here or before are forgotten; a part for one can't be merged any more. */
  readonly #forgotten = new Table<number>(jsonValues());
  readonly #windows: TimeWindows;
  readonly #aggregate: Aggregate<S>;
  readonly #task: TaskContext;

  constructor(windows: TimeWindows, aggregate: Aggregate<S>, task: TaskContext) {
    this.#windows = windows;
    this.#aggregate = aggregate;
    this.#task = task;
    task.store(this.#progress, '/progress');
    task.store(this.#pending, '/parts');
    task.store(this.#forgotten, '/forgotten');
  }

  next(batch: Batch<Part>, emit: (batch: Batch<Windowed<S>>) => void): void {
    for (let i = 0; i < batch.length; i++) {
      if (batch.selected !== undefined && !batch.selected.includes(i)) continue;
      const part = batch.row(i);
      if (part.kind === 'part') this.#take(part);
      else {
        this.#progress.set(String(part.partition), part);
        this.#give(batch, emit);
      }
    }
  }

  #take(part: PartRecord): void {
    if (part.end <= (this.#forgotten.get('end') ?? Number.NEGATIVE_INFINITY)) {
      this.#task.count('late', 1);
      return;
    }
    const id = `${part.end}\u001f${part.start}\u001f${joinKey(part.key)}`;
    const found = this.#pending.get(id);
    const pending = found ?? {
      key: part.key,
      start: part.start,
      end: part.end,
      parts: [],
      revision: -1,
      changed: true,
    };
    pending.parts = [...pending.parts.filter((p) => p.partition !== part.partition), part];
    pending.parts.sort((a, b) => a.partition - b.partition);
    pending.changed = true;
    this.#pending.set(id, pending);
  }

  #give(batch: Batch<Part>, emit: (batch: Batch<Windowed<S>>) => void): void {
    const upTo = passedByAll(this.#progress);
    const rows: Windowed<S>[] = [];
    const due = [...this.#pending.entries()]
      .filter(([, pending]) => pending.changed && pending.end + this.#windows.graceMs <= upTo)
      .sort(([, a], [, b]) => a.end - b.end || (joinKey(a.key) < joinKey(b.key) ? -1 : 1));
    for (const [id, pending] of due) {
      pending.revision++;
      pending.changed = false;
      this.#pending.set(id, pending);
      rows.push(this.#merged(pending));
    }
    if (rows.length > 0) {
      emit(windowedBatch(batch, rows, upTo));
      this.#forget();
    }
  }

  #merged(pending: Pending): Windowed<S> {
    const state = this.#aggregate.create();
    for (const part of pending.parts)
      this.#aggregate.merge(state, this.#aggregate.decode(Buffer.from(part.state, 'base64')));
    const parts: OffsetRange[] = pending.parts.map(({ partition, firstOffset, lastOffset }) => ({
      partition,
      firstOffset,
      lastOffset,
    }));
    return {
      key: pending.key,
      carried: pending.parts[0]?.carried ?? {},
      start: pending.start,
      end: pending.end,
      state,
      partition: -1,
      firstOffset: Math.min(...parts.map((p) => p.firstOffset)),
      lastOffset: Math.max(...parts.map((p) => p.lastOffset)),
      late: pending.parts.reduce((sum, p) => sum + p.late, 0),
      duplicates: pending.parts.reduce((sum, p) => sum + p.duplicates, 0),
      revision: pending.revision,
      parts,
    };
  }

  /** Lets go of given windows: those that every partition has passed, and the oldest beyond the bound. */
  #forget(): void {
    const progress = [...this.#progress.entries()].map(
      ([, p]) => p.watermark ?? Number.NEGATIVE_INFINITY,
    );
    const passedByAll = Math.min(...progress) - this.#windows.graceMs;
    const given = [...this.#pending.entries()]
      .filter(([, p]) => !p.changed)
      .sort(([, a], [, b]) => a.end - b.end);
    const excess = given.length - GIVEN_WINDOWS_MAX;
    let forgotten = this.#forgotten.get('end') ?? Number.NEGATIVE_INFINITY;
    for (const [index, [id, pending]] of given.entries()) {
      if (pending.end > passedByAll && index >= excess) break;
      this.#pending.delete(id);
      forgotten = Math.max(forgotten, pending.end);
    }
    if (Number.isFinite(forgotten)) this.#forgotten.set('end', forgotten);
  }
}
