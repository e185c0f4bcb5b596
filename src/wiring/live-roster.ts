/**
 * The validators that a task knows, with what lists are sorted by in columns of numbers: of 2,000 validators a few
 * hundred have voted since the last list, only those are worked out anew, and choosing the first fifty reads one
 * column. Going through the objects of all of them instead took the engine's thread 2 ms for each list.
 */
import type { LastClosed, LatencySummary } from '../../topologies/index.ts';
import type { LiveSort } from '../api/index.ts';
import type { LatestView, WindowEntry, WindowView } from '../stream/index.ts';
import type { LiveTask } from './live-votes.ts';
import type { Top } from './top.ts';

type Windows = ReturnType<WindowView<LatencySummary>['open']>;

/** One validator: its newest open window and its last closed one. */
export interface Known {
  readonly id: string;
  readonly network: string;
  readonly open: WindowEntry<LatencySummary> | undefined;
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

/** Those whose newest open window is the same: the roster's from `from` on. */
interface Stretch {
  readonly from: number;
  /** Of each among the window's entries. */
  readonly places: Uint32Array;
  /** How often each had changed when its ranks were worked out. */
  readonly seen: Uint32Array;
  /** Asked for its counts each time: it may replace them by longer ones. */
  readonly window: Windows[number];
}

export class LiveRoster {
  readonly #known: Known[] = [];
  /** Of each in what is known of closed windows. */
  readonly #keys: string[] = [];
  readonly #stretches: Stretch[] = [];
  readonly #ranks: Readonly<Record<Ranking, Float64Array>>;
  /** Whether quantiles are older than the rest: they cost more, and are worked out when a list is sorted by them. */
  readonly #isStale: Uint8Array;
  #byId: readonly Known[] | undefined;

  /**
   * Each validator and network once, with its newest window; also those that have only a closed one. `before`: what
   * this one replaces; of a window that is still open only what has changed since is worked out again.
   */
  constructor(
    windows: Windows,
    closed: LatestView<LastClosed> | undefined,
    before: LiveRoster | undefined,
  ) {
    const isNew = seenOnce();
    for (const window of windows.toReversed()) {
      const from = this.#known.length;
      for (const open of window.entries) {
        const [id, network] = open.key as [string, string];
        if (isNew(id, network))
          this.#add({ id, network, open, closed: ownOf(closed?.get(keyOf(id)), network) });
      }
      this.#end(from, window);
    }
    for (const [, last] of closed?.entries() ?? []) {
      const { id, network } = last.rollup;
      if (isNew(id, network)) this.#add({ id, network, open: undefined, closed: last });
    }
    const count = this.#known.length;
    const column = () => new Float64Array(count);
    this.#ranks = {
      p99: column(),
      p95: column(),
      p50: column(),
      mean: column(),
      count: column(),
      lastSlot: column(),
    };
    this.#isStale = new Uint8Array(count);
    const openCount = this.#rankOpen(before);
    for (let at = openCount; at < count; at++) this.#rank(at);
  }

  /** Takes closed windows that have changed; false when somebody came or went by them, and a new roster is due. */
  takeClosed(closed: LatestView<LastClosed> | undefined): boolean {
    let found = 0;
    for (let at = 0; at < this.#known.length; at++) {
      const known = this.#known[at] as Known;
      const own = ownOf(closed?.get(this.#keys[at] as string), known.network);
      if (own !== undefined) found++;
      else if (known.open === undefined) return false;
      if (own === known.closed) continue;
      known.closed = own;
      if (known.open === undefined) this.#rank(at);
      else this.#rankSlot(at);
    }
    return found === (closed?.size ?? 0);
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
    let lowest = top.last?.rank ?? Number.NEGATIVE_INFINITY;
    for (let at = 0; at < ranks.length; at++) {
      const rank = ranks[at] as number;
      if (rank < lowest) continue;
      top.add({ known: this.#known[at] as Known, rank, task });
      lowest = top.last?.rank ?? Number.NEGATIVE_INFINITY;
    }
  }

  #add(known: Known): void {
    this.#known.push(known);
    this.#keys.push(keyOf(known.id));
  }

  /** Of whoever has voted since the last time, for any list. */
  bringUpToDate(): void {
    this.#rankChanged();
    this.#bringQuantilesUpToDate();
  }

  #end(from: number, window: Windows[number]): void {
    const places = Uint32Array.from(this.#known.slice(from), ({ open }) => open?.place as number);
    const seen = places.map((place) => window.changes[place] as number);
    this.#stretches.push({ from, places, seen, window });
  }

  #rankChanged(): void {
    for (const { from, places, seen, window } of this.#stretches) {
      const { changes } = window;
      for (let i = 0; i < places.length; i++) {
        const now = changes[places[i] as number] as number;
        if (now === seen[i]) continue;
        seen[i] = now;
        this.#rank(from + i);
      }
    }
  }

  /** Those with an open window; gives how many they are. */
  #rankOpen(before: LiveRoster | undefined): number {
    const olderStretches = before === undefined ? [] : before.#stretches;
    let count = 0;
    for (const { from, places, window } of this.#stretches) {
      const other = olderStretches.find((stretch) => stretch.window === window);
      const atPlace = new Map<number, number>();
      other?.places.forEach((place, i) => {
        if (other.seen[i] === window.changes[place]) atPlace.set(place, other.from + i);
      });
      for (let i = 0; i < places.length; i++) {
        const same = atPlace.get(places[i] as number);
        if (before === undefined || same === undefined) this.#rank(from + i);
        else this.#copy(before, same, from + i);
      }
      count = from + places.length;
    }
    return count;
  }

  #copy(before: LiveRoster, from: number, to: number): void {
    for (const ranking of RANKINGS)
      this.#ranks[ranking][to] = before.#ranks[ranking][from] as number;
    this.#isStale[to] = before.#isStale[from] as number;
    this.#rankSlot(to);
  }

  #rankSlot(at: number): void {
    const { open, closed } = this.#known[at] as Known;
    this.#ranks.lastSlot[at] = Math.max(open?.state.lastSlot ?? -1, closed?.lastSlot ?? -1);
  }

  #rank(at: number): void {
    const { open, closed } = this.#known[at] as Known;
    const ranks = this.#ranks;
    this.#rankSlot(at);
    if (open === undefined) {
      for (const ranking of RANKINGS)
        if (ranking !== 'lastSlot') ranks[ranking][at] = closed?.rollup[ranking] ?? 0;
      return;
    }
    const { latency } = open.state;
    ranks.count[at] = latency.count;
    ranks.mean[at] = latency.mean;
    this.#isStale[at] = 1;
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

const keyOf = (id: string): string => `validator:${id}`;

/** A validator's last closed window is kept by its id alone: it may be another network's. */
const ownOf = (last: LastClosed | undefined, network: string): LastClosed | undefined =>
  last?.rollup.network === network ? last : undefined;

/** Whether a validator of a network has not been asked about before. */
function seenOnce(): (id: string, network: string) => boolean {
  const seen = new Map<string, Set<string>>();
  return (id, network) => {
    let ids = seen.get(network);
    if (ids === undefined) {
      ids = new Set();
      seen.set(network, ids);
    }
    const before = ids.size;
    return ids.add(id).size > before;
  };
}
