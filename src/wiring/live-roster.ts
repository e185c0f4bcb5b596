/**
 * The validators that a task knows, with what lists are sorted by in columns of numbers: of 2,000 validators a few
 * hundred have voted since the last list, only those are worked out anew, and choosing the first fifty reads one
 * column. Going through the objects of all of them instead took the engine's thread 2 ms for each list.
 */
import type { LastClosed, LatencySummary } from '../../topologies/index.ts';
import type { LiveSort } from '../api/index.ts';
import type { LatestView, WindowEntry, WindowView } from '../stream/index.ts';
import type { LiveTask } from './live-task.ts';
import type { Top } from './top.ts';

type Windows = ReturnType<WindowView<LatencySummary>['open']>;

type Entry = WindowEntry<LatencySummary>;

/** One validator: its newest open window and its last closed one, as they stand now. */
export interface Known {
  readonly id: string;
  readonly network: string;
  open: Entry | undefined;
  closed: LastClosed | undefined;
}

/** One that may be in a list. */
export interface Candidate {
  readonly known: Known;
  readonly rank: number;
  readonly task: LiveTask;
}

/** Numbers descending, then ids and networks ascending. */
export function inOrder(a: Candidate, b: Candidate): number {
  if (a.rank !== b.rank) return b.rank - a.rank;
  return byId(a.known, b.known);
}

function byId(a: Known, b: Known): number {
  if (a.id !== b.id) return a.id < b.id ? -1 : 1;
  return a.network < b.network ? -1 : Number(a.network > b.network);
}

/** Of p50, p95 and p99. */
const QUANTILES = [0.5, 0.95, 0.99];
type Ranking = Exclude<LiveSort, 'id'>;
const RANKINGS: readonly Ranking[] = ['p99', 'p95', 'p50', 'mean', 'count', 'lastSlot'];

/** A window that is open, with so many of its entries taken. */
interface Taken {
  /** Asked for its counts each time: it may replace them by longer ones. */
  readonly window: Windows[number];
  entries: number;
}

/** Place of the window of somebody who has none open. */
const NOWHERE = 0xffff;
const FIRST_ROOM = 256;

export class LiveRoster {
  readonly #known: Known[] = [];
  /** Of each in what is known of closed windows. */
  readonly #keys: string[] = [];
  readonly #places = new Map<string, number>();
  /** A window keeps its place until it closes. */
  readonly #windows: (Taken | undefined)[] = [];
  #closedChanges = 0;
  #someoneIsGone = false;
  #byId: readonly Known[] | undefined;
  readonly #ranks: Record<Ranking, Float64Array>;
  /** Whether quantiles are older than the rest: they cost more, and are worked out when a list is sorted by them. */
  #isStale = new Uint8Array(FIRST_ROOM);
  /** Of each the place of its newest open window, its own among that one's entries, and how often it had changed. */
  #windowOf = new Uint16Array(FIRST_ROOM);
  #entryOf = new Uint32Array(FIRST_ROOM);
  #seen = new Uint32Array(FIRST_ROOM);

  constructor() {
    const column = () => new Float64Array(FIRST_ROOM);
    this.#ranks = {
      p99: column(),
      p95: column(),
      p50: column(),
      mean: column(),
      count: column(),
      lastSlot: column(),
    };
  }

  /**
   * Takes what has come, opened and closed since the last time, each validator and network once; also those that
   * have only a closed window. False when somebody is known no more: then a new roster is due.
   */
  follow(windows: Windows, closed: LatestView<LastClosed> | undefined): boolean {
    const open = new Set(windows);
    for (const [place, taken] of this.#windows.entries())
      if (taken !== undefined && !open.has(taken.window)) this.#closeWindow(place);
    for (const window of windows) this.#takeNew(window);
    const changes = closed?.changes ?? 0;
    if (changes !== this.#closedChanges) {
      this.#closedChanges = changes;
      this.#takeClosed(closed);
    }
    return !this.#someoneIsGone;
  }

  addTo(top: Top<Candidate>, sort: LiveSort, task: LiveTask): void {
    if (sort === 'id') {
      this.#byId ??= this.#known.toSorted(byId);
      for (const known of this.#byId) {
        const candidate = { known, rank: 0, task };
        if (!top.takes(candidate)) return;
        top.add(candidate);
      }
      return;
    }
    this.#rankChanged();
    if (sort === 'p50' || sort === 'p95' || sort === 'p99') this.#bringQuantilesUpToDate();
    const ranks = this.#ranks[sort];
    const count = this.#known.length;
    let lowest = top.last?.rank ?? Number.NEGATIVE_INFINITY;
    for (let at = 0; at < count; at++) {
      const rank = ranks[at] as number;
      if (rank < lowest) continue;
      top.add({ known: this.#known[at] as Known, rank, task });
      lowest = top.last?.rank ?? Number.NEGATIVE_INFINITY;
    }
  }

  /** Of whoever has voted since the last time, for any list. */
  bringUpToDate(): void {
    this.#rankChanged();
    this.#bringQuantilesUpToDate();
  }

  #closeWindow(place: number): void {
    this.#windows[place] = undefined;
    for (let at = 0; at < this.#known.length; at++) {
      if (this.#windowOf[at] !== place) continue;
      this.#windowOf[at] = NOWHERE;
      (this.#known[at] as Known).open = undefined;
      this.#rank(at);
    }
  }

  #takeNew(window: Windows[number]): void {
    let place = this.#windows.findIndex((taken) => taken?.window === window);
    if (place === -1) {
      place = this.#windows.indexOf(undefined);
      if (place === -1) place = this.#windows.length;
      this.#windows[place] = { window, entries: 0 };
    }
    const taken = this.#windows[place] as Taken;
    for (; taken.entries < window.entries.length; taken.entries++) {
      const entry = window.entries[taken.entries] as Entry;
      const [id, network] = entry.key as [string, string];
      const at = this.#placeOf(id, network);
      const known = this.#known[at] as Known;
      if (known.open !== undefined && known.open.start > entry.start) continue;
      known.open = entry;
      this.#windowOf[at] = place;
      this.#entryOf[at] = entry.place;
      this.#seen[at] = window.changes[entry.place] as number;
      this.#rank(at);
    }
  }

  #takeClosed(closed: LatestView<LastClosed> | undefined): void {
    let found = this.#lookUpClosed(closed);
    if (found < (closed?.size ?? 0)) {
      for (const [, { rollup }] of closed?.entries() ?? [])
        this.#placeOf(rollup.id, rollup.network);
      found = this.#lookUpClosed(closed);
    }
  }

  /** How many of the closed windows are somebody's. */
  #lookUpClosed(closed: LatestView<LastClosed> | undefined): number {
    let found = 0;
    this.#someoneIsGone = false;
    for (let at = 0; at < this.#known.length; at++) {
      const known = this.#known[at] as Known;
      const own = ownOf(closed?.get(this.#keys[at] as string), known.network);
      if (own !== undefined) found++;
      else if (known.open === undefined) this.#someoneIsGone = true;
      if (own === known.closed) continue;
      known.closed = own;
      if (known.open === undefined) this.#rank(at);
      else this.#rankSlot(at);
    }
    return found;
  }

  /** Where somebody stands; behind all others when nobody has heard of them. */
  #placeOf(id: string, network: string): number {
    const name = `${network}\0${id}`;
    const known = this.#places.get(name);
    if (known !== undefined) return known;
    const at = this.#known.length;
    if (at === this.#seen.length) this.#grow();
    this.#places.set(name, at);
    this.#known.push({ id, network, open: undefined, closed: undefined });
    this.#keys.push(keyOf(id));
    this.#windowOf[at] = NOWHERE;
    this.#byId = undefined;
    // Somebody new may have a closed window from before.
    this.#closedChanges = -1;
    return at;
  }

  #grow(): void {
    const room = 2 * this.#seen.length;
    for (const ranking of RANKINGS)
      this.#ranks[ranking] = grown(this.#ranks[ranking], new Float64Array(room));
    this.#isStale = grown(this.#isStale, new Uint8Array(room));
    this.#windowOf = grown(this.#windowOf, new Uint16Array(room));
    this.#entryOf = grown(this.#entryOf, new Uint32Array(room));
    this.#seen = grown(this.#seen, new Uint32Array(room));
  }

  #rankChanged(): void {
    const changesOf = this.#windows.map((taken) => taken?.window.changes);
    const [windowOf, entryOf, seen] = [this.#windowOf, this.#entryOf, this.#seen];
    const count = this.#known.length;
    for (let at = 0; at < count; at++) {
      const changes = changesOf[windowOf[at] as number];
      if (changes === undefined) continue;
      const now = changes[entryOf[at] as number] as number;
      if (now === seen[at]) continue;
      seen[at] = now;
      this.#rank(at);
    }
  }

  #rankSlot(at: number): void {
    const { open, closed } = this.#known[at] as Known;
    this.#ranks.lastSlot[at] = Math.max(open?.state.lastSlot ?? -1, closed?.lastSlot ?? -1);
  }

  #rank(at: number): void {
    const { open, closed } = this.#known[at] as Known;
    const ranks = this.#ranks;
    this.#rankSlot(at);
    this.#isStale[at] = open === undefined ? 0 : 1;
    if (open === undefined) {
      for (const ranking of RANKINGS)
        if (ranking !== 'lastSlot') ranks[ranking][at] = closed?.rollup[ranking] ?? 0;
      return;
    }
    const { latency } = open.state;
    ranks.count[at] = latency.count;
    ranks.mean[at] = latency.mean;
  }

  #bringQuantilesUpToDate(): void {
    const stale = this.#isStale;
    const { p50, p95, p99 } = this.#ranks;
    const columns = [p50, p95, p99];
    for (let at = stale.indexOf(1); at !== -1; at = stale.indexOf(1, at + 1)) {
      stale[at] = 0;
      const { open } = this.#known[at] as Known;
      open?.state.latency.quantilesInto(QUANTILES, columns, at);
    }
  }
}

/** `larger`, which begins with what `column` holds. */
function grown<C extends { set(from: C): void }>(column: C, larger: C): C {
  larger.set(column);
  return larger;
}

const keyOf = (id: string): string => `validator:${id}`;

/** A validator's last closed window is kept by its id alone: it may be another network's. */
const ownOf = (last: LastClosed | undefined, network: string): LastClosed | undefined =>
  last?.rollup.network === network ? last : undefined;
