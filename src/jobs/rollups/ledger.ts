/**
 * Which process runs a task, and how far it came: one value per task, changed by compare-and-set alone. A claim holds for
 * a minute and is renewed while the run goes on; whoever lost it finds out at its next change, and writes nothing more
 * once its own watch says that the claim may have run out. (decision 0018)
 */
import { randomUUID } from 'node:crypto';
import type { Clock } from '../../runtime/index.ts';
import type { LedgerTable } from './task-store.ts';

export interface LedgerEntry {
  /** The JSON's writing time: a task written anew starts afresh. */
  readonly taskWrittenAtMs: number;
  /** Every run due up to here is through; 0 = none yet. */
  readonly doneMs: number;
  /** Of a run under way, or cut: what it has stored, by query, as the start of the next bucket. */
  readonly at?: Readonly<Record<string, number>>;
  /** Failed runs in a row. */
  readonly failures: number;
  readonly retryAtMs?: number;
  readonly error?: string;
  readonly claim?: { readonly id: string; readonly owner: string; readonly untilMs: number };
}

const SERVICE = '_Tidemark';
const KEY = 'Rollups';
export const CLAIM_MS = 60_000;
/** Clocks of two machines may differ by so much, and a write may be so long under way. */
const MARGIN_MS = 20_000;

export class Ledger {
  readonly #table: LedgerTable;
  readonly #clock: Clock;
  readonly #owner: string;

  constructor(table: LedgerTable, clock: Clock, owner: string) {
    this.#table = table;
    this.#clock = clock;
    this.#owner = owner;
  }

  /** The text is what a change must find. */
  async read(
    id: string,
  ): Promise<{ readonly text: string; readonly entry: LedgerEntry } | undefined> {
    const found = await this.#table.readServiceValue(SERVICE, KEY, id);
    if (found === undefined) return undefined;
    return { text: found.value, entry: JSON.parse(found.value) as LedgerEntry };
  }

  ids(): Promise<readonly string[]> {
    return this.#table.keysOfService(SERVICE, KEY);
  }

  /** Whether another process holds the task now. */
  isClaimed({ claim }: LedgerEntry): boolean {
    return claim !== undefined && claim.untilMs > this.#clock.now();
  }

  /** undefined when another process was faster. */
  async claim(
    id: string,
    before: string | undefined,
    entry: LedgerEntry,
  ): Promise<Claim | undefined> {
    const claim = new Claim(this.#table, this.#clock, id, this.#owner);
    return (await claim.take(before, entry)) ? claim : undefined;
  }

  /** Of a task that is gone. */
  async forget(id: string): Promise<void> {
    const found = await this.read(id);
    if (found === undefined || this.isClaimed(found.entry)) return;
    await this.#table.replaceServiceValue(SERVICE, KEY, id, {
      expected: found.text,
      value: undefined,
    });
  }
}

export class Claim {
  readonly #table: LedgerTable;
  readonly #clock: Clock;
  readonly #id: string;
  readonly #owner: string;
  readonly #claimId = randomUUID();
  readonly #lost = new AbortController();
  #text: string | undefined;
  #entry: LedgerEntry | undefined;
  #untilMs = 0;
  #changing: Promise<unknown> = Promise.resolve();

  constructor(table: LedgerTable, clock: Clock, id: string, owner: string) {
    this.#table = table;
    this.#clock = clock;
    this.#id = id;
    this.#owner = owner;
  }

  get entry(): LedgerEntry {
    return this.#entry as LedgerEntry;
  }

  /** Aborts once another process has taken the task, or it was deleted. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** Throws when the claim may have run out: nothing may be written then. */
  assertHeld(): void {
    if (this.#clock.now() >= this.#untilMs - MARGIN_MS) this.#giveUp();
    this.#lost.signal.throwIfAborted();
  }

  /** Takes up a change, and a new minute with it. */
  keep(change: Partial<LedgerEntry> = {}): Promise<void> {
    return this.#change({ ...change }, true);
  }

  /** The last change; others may claim the task from here on. */
  release(change: Partial<LedgerEntry>): Promise<void> {
    return this.#change(change, false);
  }

  take(before: string | undefined, entry: LedgerEntry): Promise<boolean> {
    this.#text = before;
    this.#entry = entry;
    return this.#swap({}, true);
  }

  #change(change: Partial<LedgerEntry>, hold: boolean): Promise<void> {
    const next = this.#changing.then(async () => {
      this.#lost.signal.throwIfAborted();
      if (!(await this.#swap(change, hold))) this.#giveUp();
      this.#lost.signal.throwIfAborted();
    });
    this.#changing = next.catch(() => {});
    return next;
  }

  async #swap(change: Partial<LedgerEntry>, hold: boolean): Promise<boolean> {
    const untilMs = this.#clock.now() + CLAIM_MS;
    const { claim: _, ...rest } = { ...this.#entry, ...change };
    const entry = {
      ...rest,
      ...(hold ? { claim: { id: this.#claimId, owner: this.#owner, untilMs } } : {}),
    } as LedgerEntry;
    const text = JSON.stringify(entry);
    const done = await this.#table.replaceServiceValue(SERVICE, KEY, this.#id, {
      expected: this.#text,
      value: text,
    });
    if (!done) return false;
    this.#entry = entry;
    this.#text = text;
    this.#untilMs = untilMs;
    return true;
  }

  #giveUp(): void {
    if (this.#lost.signal.aborted) return;
    this.#lost.abort(new Error(`rollup task ${this.#id} is another process's now`));
  }
}
