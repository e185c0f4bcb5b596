/**
 * Live stats from the tasks' own memory: nothing is queried, nothing is copied until someone asks. A process
 * answers for the partitions that it owns.
 */
import type { LastClosed, LatencySummary } from '../../topologies/index.ts';
import type { LiveEntry, LiveSort, LiveVotes, LiveWindow } from '../api/index.ts';
import { Summary } from '../stats/index.ts';
import type { LatestView, Task, WindowEntry, WindowView } from '../stream/index.ts';

/** One validator: its newest open window, its last closed one, and the task that has them. */
interface Known {
  readonly id: string;
  readonly network: string;
  readonly open: WindowEntry<LatencySummary> | undefined;
  readonly closed: LastClosed | undefined;
  readonly task: Task;
}

/** `tasks`: those of the vote-latency topology in this process. */
export function liveVotes(tasks: () => readonly Task[]): LiveVotes {
  return {
    validators({ sort, limit }) {
      const known = tasks().flatMap((task) => [...knownValidators(task).values()]);
      const keyed = known.map((k) => ({ k, key: sortKey(k, sort) }));
      keyed.sort((a, b) => compare(a.key, b.key) || (a.k.id < b.k.id ? -1 : 1));
      return keyed.slice(0, limit).map(({ k }) => entryOf(k));
    },
    validator(id) {
      for (const task of tasks()) {
        const found = findValidator(task, id);
        if (found !== undefined) return entryOf(found);
      }
      return undefined;
    },
    network: (name) => networkEntry(tasks(), name),
  };
}

function knownValidators(task: Task): Map<string, Known> {
  const known = new Map<string, Known>();
  const closed = task.instance.exposed.get('latest validator') as
    | LatestView<LastClosed>
    | undefined;
  for (const [, last] of closed?.entries() ?? []) {
    const { id, network } = last.rollup;
    known.set(`${id}/${network}`, { id, network, open: undefined, closed: last, task });
  }
  for (const entry of openEntries(task)) {
    const [id, network] = entry.key as [string, string];
    const before = known.get(`${id}/${network}`);
    known.set(`${id}/${network}`, { id, network, open: entry, closed: before?.closed, task });
  }
  return known;
}

function findValidator(task: Task, id: string): Known | undefined {
  const view = task.instance.exposed.get('latest validator') as LatestView<LastClosed> | undefined;
  const closed = view?.get(`validator:${id}`);
  let open: WindowEntry<LatencySummary> | undefined;
  for (const entry of openEntries(task)) if (entry.key[0] === id) open = entry;
  if (closed === undefined && open === undefined) return undefined;
  const network = open?.key[1] ?? closed?.rollup.network ?? '';
  return { id, network, open, closed, task };
}

/** Earliest window first, so that of one key the newest comes last. */
function* openEntries(task: Task): Generator<WindowEntry<LatencySummary>> {
  const view = task.instance.exposed.get('validators 5m') as WindowView<LatencySummary> | undefined;
  for (const window of view?.open() ?? []) yield* window.entries;
}

function entryOf({ id, network, open, closed, task }: Known): LiveEntry {
  const voteAccount = open?.carried.voteAccount ?? closed?.rollup.voteAccount;
  return {
    id,
    network,
    ...(voteAccount === undefined ? {} : { voteAccount }),
    open: open === undefined ? null : openWindow(open.start, open.end, open.state.latency),
    closed: closed === undefined ? null : closedWindow(closed),
    lastSlot: slotOrNull(Math.max(open?.state.lastSlot ?? -1, closed?.lastSlot ?? -1)),
    movingAverage: closed?.rollup.movingAverage ?? null,
    asOf: asOf([task]),
  };
}

function networkEntry(tasks: readonly Task[], name: string): LiveEntry | undefined {
  const merged = new Summary();
  let start = Number.NEGATIVE_INFINITY;
  let end = 0;
  let lastSlot = -1;
  const owners = tasks.filter((task) => task.instance.exposed.has('validators 5m'));
  const entries = owners
    .flatMap((task) => [...openEntries(task)])
    .filter((entry) => entry.key[1] === name);
  for (const entry of entries) start = Math.max(start, entry.start);
  for (const entry of entries) {
    lastSlot = Math.max(lastSlot, entry.state.lastSlot);
    if (entry.start !== start) continue;
    end = entry.end;
    merged.merge(entry.state.latency);
  }
  const closed = tasks
    .map(
      (task) => task.instance.exposed.get('latest network') as LatestView<LastClosed> | undefined,
    )
    .map((view) => view?.get(`network:${name}`))
    .find((last) => last !== undefined);
  if (entries.length === 0 && closed === undefined) return undefined;
  return {
    id: name,
    network: name,
    open: entries.length === 0 ? null : openWindow(start, end, merged),
    closed: closed === undefined ? null : closedWindow(closed),
    lastSlot: slotOrNull(Math.max(lastSlot, closed?.lastSlot ?? -1)),
    movingAverage: closed?.rollup.movingAverage ?? null,
    asOf: asOf(owners),
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

function closedWindow({ rollup }: LastClosed): LiveWindow {
  const { window, count, sum, min, max, mean, stddev, p50, p95, p99 } = rollup;
  return { window, count, sum, min, max, mean, stddev, p50, p95, p99, final: true };
}

function asOf(tasks: readonly Task[]): LiveEntry['asOf'] {
  const offset = tasks.flatMap((task) => task.offsets()).reduce((sum, o) => sum + o.nextOffset, 0);
  const watermarks = tasks.map((task) => task.watermark()).filter((w) => w !== null);
  return { offset, watermark: watermarks.length === 0 ? null : Math.min(...watermarks) };
}

const slotOrNull = (slot: number): number | null => (slot < 0 ? null : slot);

/** Slow ones first; ids ascending. */
function sortKey({ id, open, closed }: Known, sort: LiveSort): string | number {
  if (sort === 'id') return id;
  if (sort === 'lastSlot') return Math.max(open?.state.lastSlot ?? -1, closed?.lastSlot ?? -1);
  const latency = open?.state.latency;
  if (sort === 'count') return latency?.count ?? closed?.rollup.count ?? 0;
  if (sort === 'mean') return latency?.mean ?? closed?.rollup.mean ?? 0;
  const q = { p50: 0.5, p95: 0.95, p99: 0.99 }[sort];
  return latency?.quantile(q) ?? closed?.rollup[sort] ?? 0;
}

const compare = (a: string | number, b: string | number): number =>
  typeof a === 'string' ? (a < b ? -1 : a > b ? 1 : 0) : (b as number) - a;
