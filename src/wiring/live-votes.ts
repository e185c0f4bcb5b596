/**
 * Live stats from the tasks' own memory: nothing is queried, nothing is copied until someone asks. A process
 * answers for the partitions that it owns; of others it knows what is closed and stored. An answer takes the engine's own thread, so it must be cheap: of all
 * validators only those that are shown are put together, who there is is worked out only when that has changed, and
 * a network is merged at most ten times a second.
 */
import type { LastClosed, LatencySummary } from '../../topologies/index.ts';
import type { LiveEntry, LiveSort, LiveVotes, LiveWindow } from '../api/index.ts';
import type { Rollup } from '../model/index.ts';
import type { Clock } from '../runtime/index.ts';
import { Summary } from '../stats/index.ts';
import type { LatestView, Task, WindowEntry, WindowView } from '../stream/index.ts';
import { Top } from './top.ts';

/** What is asked of a task. */
export interface LiveTask extends Pick<Task, 'instance' | 'watermark'> {
  offsets(): readonly { readonly nextOffset: number }[];
}

type OpenEntry = WindowEntry<LatencySummary>;

/** One validator: its newest open window, its last closed one, and the task that has them. */
interface Known {
  readonly id: string;
  readonly network: string;
  readonly open: OpenEntry | undefined;
  readonly closed: LastClosed | undefined;
  readonly task: LiveTask;
}

/** In a list: `rank` is worked out anew for each, quantiles when votes have come since. */
interface Ranked extends Known {
  rank: number;
  /** Of the open window, when it held `quantilesOf` votes. */
  quantiles: readonly number[];
  quantilesOf: number;
}

/** Who a task knows, valid as long as `state` is what it was. */
interface Roster {
  readonly state: readonly number[];
  readonly known: readonly Ranked[];
}

/** Merging all validators of a network costs milliseconds; an answer serves so long, and its `asOf` says from when. */
const NETWORK_SERVES_MS = 100;

/** `tasks`: those of the vote-latency topology in this process. */
export function liveVotes(
  tasks: () => readonly LiveTask[],
  clock: Pick<Clock, 'now'>,
  newestStored: (scope: 'validator' | 'network', id: string) => Rollup | undefined = () =>
    undefined,
): LiveVotes {
  const networks = new Map<string, { readonly madeMs: number; readonly entry: LiveEntry }>();
  return {
    validators({ sort, limit }) {
      const top = new Top<Ranked>(limit, inOrder);
      const places = new Map<LiveTask, LiveEntry['asOf']>();
      for (const task of tasks()) {
        places.set(task, asOf([task]));
        rankInto(top, task, sort);
      }
      return top
        .sorted()
        .map((known) => entryOf(known, places.get(known.task) as LiveEntry['asOf']));
    },
    validator(id) {
      for (const task of tasks()) {
        const found = findValidator(task, id);
        if (found !== undefined) return entryOf(found, asOf([task]));
      }
      return undefined;
    },
    stored(scope, id) {
      const rollup = newestStored(scope, id);
      return rollup === undefined ? undefined : storedEntry(rollup);
    },
    network(name) {
      const now = clock.now();
      const before = networks.get(name);
      if (before !== undefined && Math.abs(now - before.madeMs) < NETWORK_SERVES_MS)
        return before.entry;
      const entry = networkEntry(tasks(), name);
      if (entry === undefined) networks.delete(name);
      else networks.set(name, { madeMs: now, entry });
      return entry;
    },
  };
}

const rosters = new WeakMap<LiveTask['instance'], Roster>();

function rankInto(top: Top<Ranked>, task: LiveTask, sort: LiveSort): void {
  for (const known of rosterOf(task)) {
    known.rank = rankOf(known, sort);
    top.add(known);
  }
}

/** Each validator and network of the task once; also those that have only a closed window. */
function rosterOf(task: LiveTask): readonly Ranked[] {
  const windows = openWindows(task);
  const state = [closedValidators(task)?.changes ?? 0];
  for (const { start, entries } of windows) state.push(start, entries.length);
  const before = rosters.get(task.instance);
  if (before?.state.length === state.length && before.state.every((n, i) => n === state[i]))
    return before.known;
  const known = knownOf(task, windows);
  rosters.set(task.instance, { state, known });
  return known;
}

function knownOf(task: LiveTask, windows: ReturnType<typeof openWindows>): readonly Ranked[] {
  const closed = closedValidators(task);
  const known: Ranked[] = [];
  const seen = new Map<string, Set<string>>();
  const isNew = (id: string, network: string): boolean => {
    let ids = seen.get(network);
    if (ids === undefined) {
      ids = new Set();
      seen.set(network, ids);
    }
    const before = ids.size;
    return ids.add(id).size > before;
  };
  for (const { entries } of windows.toReversed()) {
    for (const open of entries) {
      const [id, network] = open.key as [string, string];
      if (!isNew(id, network)) continue;
      const last = closed?.get(`validator:${id}`);
      const own = last?.rollup.network === network ? last : undefined;
      known.push(ranked({ id, network, open, closed: own, task }));
    }
  }
  for (const [, last] of closed?.entries() ?? []) {
    const { id, network } = last.rollup;
    if (isNew(id, network))
      known.push(ranked({ id, network, open: undefined, closed: last, task }));
  }
  return known;
}

const ranked = (known: Known): Ranked => ({ ...known, rank: 0, quantiles: [], quantilesOf: -1 });

function findValidator(task: LiveTask, id: string): Known | undefined {
  const closed = closedValidators(task)?.get(`validator:${id}`);
  let open: OpenEntry | undefined;
  for (const { entries } of openWindows(task))
    for (const entry of entries) if (entry.key[0] === id) open = entry;
  if (closed === undefined && open === undefined) return undefined;
  const network = open?.key[1] ?? closed?.rollup.network ?? '';
  return { id, network, open, closed, task };
}

/** Earliest first, so that of one key the newest comes last. */
const openWindows = (task: LiveTask) =>
  (task.instance.exposed.get('validators 5m') as WindowView<LatencySummary> | undefined)?.open() ??
  [];

const closedValidators = (task: LiveTask) =>
  task.instance.exposed.get('latest validator') as LatestView<LastClosed> | undefined;

function entryOf({ id, network, open, closed }: Known, asOf: LiveEntry['asOf']): LiveEntry {
  const voteAccount = open?.carried.voteAccount ?? closed?.rollup.voteAccount;
  return {
    id,
    network,
    ...(voteAccount === undefined ? {} : { voteAccount }),
    open: open === undefined ? null : openWindow(open.start, open.end, open.state.latency),
    closed: closed === undefined ? null : closedWindow(closed),
    lastSlot: slotOrNull(Math.max(open?.state.lastSlot ?? -1, closed?.lastSlot ?? -1)),
    movingAverage: closed?.rollup.movingAverage ?? null,
    asOf,
  };
}

function networkEntry(tasks: readonly LiveTask[], name: string): LiveEntry | undefined {
  const owners = tasks.filter((task) => task.instance.exposed.has('validators 5m'));
  const windows = owners
    .flatMap((task) => openWindows(task))
    .map(({ start, end, entries }) => ({
      start,
      end,
      entries: entries.filter((entry) => entry.key[1] === name),
    }))
    .filter(({ entries }) => entries.length > 0);
  const newest = Math.max(...windows.map(({ start }) => start));
  const merged = new Summary();
  let end = 0;
  let lastSlot = -1;
  for (const window of windows) {
    if (window.start === newest) end = window.end;
    for (const { state } of window.entries) {
      lastSlot = Math.max(lastSlot, state.lastSlot);
      if (window.start === newest) merged.merge(state.latency);
    }
  }
  const closed = tasks
    .map(
      (task) => task.instance.exposed.get('latest network') as LatestView<LastClosed> | undefined,
    )
    .map((view) => view?.get(`network:${name}`))
    .find((last) => last !== undefined);
  if (windows.length === 0 && closed === undefined) return undefined;
  return {
    id: name,
    network: name,
    open: windows.length === 0 ? null : openWindow(newest, end, merged),
    closed: closed === undefined ? null : closedWindow(closed),
    lastSlot: slotOrNull(Math.max(lastSlot, closed?.lastSlot ?? -1)),
    movingAverage: closed?.rollup.movingAverage ?? null,
    asOf: asOf(owners),
  };
}

/** What its owner last gave; where that is now, only the owner knows. */
function storedEntry(rollup: Rollup): LiveEntry {
  const { id, network, voteAccount, movingAverage, lineage } = rollup;
  return {
    id,
    network,
    ...(voteAccount === undefined ? {} : { voteAccount }),
    open: null,
    closed: closedWindow({ rollup }),
    lastSlot: null,
    movingAverage,
    asOf: { offset: lineage.lastOffset + 1, watermark: rollup.window.end },
  };
}

function openWindow(start: number, end: number, latency: Summary): LiveWindow {
  const [p50 = 0, p95 = 0, p99 = 0] = latency.quantiles([0.5, 0.95, 0.99]);
  const { count, sum, min, max, mean, stddev } = latency;
  return {
    window: { start, end },
    count,
    sum,
    min,
    max,
    mean,
    stddev,
    p50,
    p95,
    p99,
    final: false,
  };
}

function closedWindow({ rollup }: Pick<LastClosed, 'rollup'>): LiveWindow {
  const { window, count, sum, min, max, mean, stddev, p50, p95, p99 } = rollup;
  return { window, count, sum, min, max, mean, stddev, p50, p95, p99, final: true };
}

function asOf(tasks: readonly LiveTask[]): LiveEntry['asOf'] {
  const offset = tasks.flatMap((task) => task.offsets()).reduce((sum, o) => sum + o.nextOffset, 0);
  const watermarks = tasks.map((task) => task.watermark()).filter((w) => w !== null);
  return { offset, watermark: watermarks.length === 0 ? null : Math.min(...watermarks) };
}

const slotOrNull = (slot: number): number | null => (slot < 0 ? null : slot);

const QUANTILES = [0.5, 0.95, 0.99];
const PLACE = { p50: 0, p95: 1, p99: 2 } as const;

/** What a list is sorted by, descending; all alike when only their ids count. Always a number: kept without garbage. */
function rankOf(known: Ranked, sort: LiveSort): number {
  const { open, closed } = known;
  if (sort === 'id') return 0;
  if (sort === 'lastSlot') return Math.max(open?.state.lastSlot ?? -1, closed?.lastSlot ?? -1);
  const latency = open?.state.latency;
  if (sort === 'count') return latency?.count ?? closed?.rollup.count ?? 0;
  if (sort === 'mean') return latency?.mean ?? closed?.rollup.mean ?? 0;
  if (latency === undefined) return closed?.rollup[sort] ?? 0;
  // Between two lists few validators have voted.
  if (known.quantilesOf !== latency.count) {
    known.quantiles = latency.quantiles(QUANTILES);
    known.quantilesOf = latency.count;
  }
  return known.quantiles[PLACE[sort]] as number;
}

function inOrder(a: Ranked, b: Ranked): number {
  if (a.rank !== b.rank) return b.rank - a.rank;
  if (a.id !== b.id) return a.id < b.id ? -1 : 1;
  return a.network < b.network ? -1 : Number(a.network > b.network);
}
