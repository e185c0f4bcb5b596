/**
 * Live stats from the tasks' own memory: nothing is queried, nothing is copied until someone asks. A process
 * answers for the partitions that it owns; of others it knows what is closed and stored. An answer takes the engine's own thread, so it must be cheap: of all
 * validators only those that are shown are put together, who there is is worked out only when that has changed, and
 * a network is merged at most ten times a second.
 */
import type { LastClosed, LatencySummary } from '../../topologies/index.ts';
import type { LiveEntry, LiveVotes, LiveWindow } from '../api/index.ts';
import type { Rollup } from '../model/index.ts';
import type { Clock } from '../runtime/index.ts';
import { Summary } from '../stats/index.ts';
import type { LatestView, WindowView } from '../stream/index.ts';
import { type Candidate, inOrder, type Known, LiveRoster } from './live-roster.ts';
import type { LiveTask } from './live-task.ts';
import { Top } from './top.ts';

/** Merging all validators of a network costs milliseconds; an answer serves so long, and its `asOf` says from when. */
const NETWORK_SERVES_MS = 100;

interface Keeping {
  readonly everyMs: number;
  /** They are asked for until so long after the last one. */
  readonly forMs: number;
}

/** Ranks are kept so fresh while lists are asked for: an answer has no more to work out than what came since. */
const RANKS: Keeping = { everyMs: 50, forMs: 5_000 };
/** A network that somebody asks for again within `forMs` is merged before they do: what is stale is no answer's to wait for. */
const NETWORKS: Keeping = { everyMs: 80, forMs: 500 };

/**
 * `tasks`: those of the vote-latency topology in this process. With a clock that ticks, ranks and networks are also worked
 * out between the answers: of 2,000 validators, 120 ms of votes took a list 2 ms, and a network 1 to 3 ms.
 */
export function liveVotes(
  tasks: () => readonly LiveTask[],
  clock: Pick<Clock, 'now'> & Partial<Pick<Clock, 'every'>>,
  newestStored: (scope: 'validator' | 'network', id: string) => Rollup | undefined = () =>
    undefined,
): LiveVotes {
  /** Those that somebody has asked for and that exist. */
  const networks = new Map<string, { madeMs: number; askedMs: number; entry: LiveEntry }>();
  const keepRanks = whileWanted(clock, RANKS, () => {
    for (const task of tasks()) rosterOf(task).bringUpToDate();
  });
  const merge = (name: string, askedMs: number): LiveEntry | undefined => {
    const entry = networkEntry(tasks(), name);
    if (entry === undefined) networks.delete(name);
    else networks.set(name, { madeMs: clock.now(), askedMs, entry });
    return entry;
  };
  const keepNetworks = whileWanted(clock, NETWORKS, () => {
    for (const [name, { askedMs }] of networks)
      if (clock.now() - askedMs < NETWORKS.forMs) merge(name, askedMs);
  });
  return {
    validators({ sort, limit }) {
      keepRanks();
      const top = new Top<Candidate>(limit, inOrder);
      for (const task of tasks()) rosterOf(task).addTo(top, sort, task);
      const places = new Map<LiveTask, LiveEntry['asOf']>();
      return top.sorted().map(({ known, task }) => {
        const place = places.get(task) ?? asOf([task]);
        places.set(task, place);
        return entryOf(known, place);
      });
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
      if (before === undefined) return merge(name, now);
      if (now - before.askedMs < NETWORKS.forMs) keepNetworks();
      before.askedMs = now;
      return Math.abs(now - before.madeMs) < NETWORK_SERVES_MS ? before.entry : merge(name, now);
    },
  };
}

/** What is given, when called, has `action` done every so often for a while. */
function whileWanted(
  clock: Pick<Clock, 'now'> & Partial<Pick<Clock, 'every'>>,
  { everyMs, forMs }: Keeping,
  action: () => void,
): () => void {
  let untilMs = 0;
  let stop: (() => void) | undefined;
  const end = () => {
    stop?.();
    stop = undefined;
  };
  return () => {
    untilMs = clock.now() + forMs;
    stop ??= clock.every?.(everyMs, () => {
      if (clock.now() >= untilMs) return end();
      try {
        action();
      } catch {
        // Of a task that is just being replaced; the next answer works out what it needs, and says what is wrong.
        end();
      }
    });
  };
}

const rosters = new WeakMap<LiveTask['instance'], LiveRoster>();

/** Who the task knows just now. */
function rosterOf(task: LiveTask): LiveRoster {
  const windows = openWindows(task);
  const closed = closedValidators(task);
  const before = rosters.get(task.instance);
  if (before?.follow(windows, closed)) return before;
  const roster = new LiveRoster();
  roster.follow(windows, closed);
  rosters.set(task.instance, roster);
  return roster;
}

function findValidator(task: LiveTask, id: string): Known | undefined {
  const closed = closedValidators(task)?.get(`validator:${id}`);
  let open: Known['open'];
  for (const { entries } of openWindows(task))
    for (const entry of entries) if (entry.key[0] === id) open = entry;
  if (closed === undefined && open === undefined) return undefined;
  const network = open?.key[1] ?? closed?.rollup.network ?? '';
  return { id, network, open, closed };
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
  let newest = { start: Number.NEGATIVE_INFINITY, end: 0 };
  let latencies: Summary[] = [];
  let lastSlot = -1;
  for (const task of owners) {
    for (const window of openWindows(task)) {
      for (const { key, state } of window.entries) {
        if (key[1] !== name) continue;
        if (state.lastSlot > lastSlot) lastSlot = state.lastSlot;
        if (window.start > newest.start) {
          newest = window;
          latencies = [];
        }
        if (window.start === newest.start) latencies.push(state.latency);
      }
    }
  }
  const isOpen = latencies.length > 0;
  const closed = tasks
    .map(
      (task) => task.instance.exposed.get('latest network') as LatestView<LastClosed> | undefined,
    )
    .map((view) => view?.get(`network:${name}`))
    .find((last) => last !== undefined);
  if (!isOpen && closed === undefined) return undefined;
  return {
    id: name,
    network: name,
    open: isOpen ? openWindow(newest.start, newest.end, Summary.merged(latencies)) : null,
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
