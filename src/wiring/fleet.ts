/**
 * The fleet's answers: from the tasks' memory where this process has it, else from its store, which the history feed
 * keeps. Rollups come from the store, and the windows that are still open from the tasks.
 */
import { randomUUID } from 'node:crypto';
import { ANNOTATIONS_TOPIC, type FieldSummaries, fleetRollupsOf } from '../../topologies/index.ts';
import type {
  Annotation,
  AnnotationsPort,
  FleetHost,
  FleetPoint,
  FleetPort,
  FleetSeries,
  FleetSeriesQuery,
  HostStatus,
} from '../api/index.ts';
import type { Broker, TopicSpec } from '../broker/index.ts';
import type { FleetStore, KeptRollup } from '../databases/embedded/index.ts';
import {
  FatalError,
  type FleetAnomaly,
  type FleetHostState,
  type FleetSeriesId,
  hours,
  minutes,
  type StoredAnnotation,
  seconds,
  tagsText,
} from '../model/index.ts';
import type { Clock } from '../runtime/index.ts';
import { createDetector, type Detector } from '../stats/index.ts';
import {
  closedRow,
  type LatestView,
  type Task,
  type Topology,
  type WindowView,
} from '../stream/index.ts';
import { capacityForecast } from './fleet-forecast.ts';

/** What is asked of a task. */
export type FleetTask = Pick<Task, 'instance'>;

export interface FleetParts {
  readonly store: () => FleetStore;
  /** Those of the fleet-metrics topology in this process. */
  readonly tasks: () => readonly FleetTask[];
  readonly clock: Pick<Clock, 'now'>;
}

/** Points of one answer; a page of them is some 3 MB. */
const POINTS_MAX = 20_000;
const UP_MS = seconds(30);
const STALE_MS = minutes(5);

export function fleetFrom({ store, tasks, clock }: FleetParts): FleetPort {
  const shown = (state: FleetHostState): FleetHost => {
    const ageMs = Math.max(0, clock.now() - state.lastSeen);
    return { ...state, status: statusOf(ageMs), ageMs };
  };
  const series = (query: FleetSeriesQuery) => seriesOf(query, store(), tasks());
  return {
    async hosts() {
      const states = new Map<string, FleetHostState>();
      for (const task of tasks())
        for (const [name, state] of hostsIn(task)?.entries() ?? [])
          states.set(name, newer(state, states.get(name)));
      // Of a host that is up the store has nothing newer; reading it is most of the work. One that a task has not
      // heard of for longer may have moved to another partition, and so to another process.
      const up = new Set<string>();
      for (const [name, { lastSeen }] of states)
        if (statusOf(clock.now() - lastSeen) === 'up') up.add(name);
      for (const state of store().hosts(up))
        states.set(state.host, newer(state, states.get(state.host)));
      return [...states.values()].sort((a, b) => (a.host < b.host ? -1 : 1)).map(shown);
    },
    async host(name) {
      let state = store().host(name);
      for (const task of tasks()) {
        const live = hostsIn(task)?.get(name);
        if (live !== undefined) state = newer(live, state);
      }
      return state === undefined ? undefined : shown(state);
    },
    series,
    async anomalies(query) {
      if (query.detector === 'z-score') return zScores(query, series);
      return store().anomalies(
        query,
        query.limit,
        ({ host, metricType, field }) =>
          (query.host === undefined || query.host === host) &&
          (query.metricType === undefined || query.metricType === metricType) &&
          (query.field === undefined || query.field === field),
      );
    },
    async forecast(query) {
      const { horizonMs, capacity, confidence, host, ...which } = query;
      const to = clock.now() + hours(1);
      const range = { from: to - hours(24 * 22), to, step: '1h' as const, hosts: [host] };
      let found = await series({ ...which, ...range });
      if (found.length === 0) found = await seriesSoFar(series, { ...which, ...range });
      const [only, ...others] = found;
      if (others.length > 0) {
        const names = found.map(({ metricType, tags }) => `${metricType} ${JSON.stringify(tags)}`);
        throw new FatalError(
          `${query.field} of ${host} is ${found.length} series: ${names.slice(0, 10).join(', ')}`,
          { code: 'AMBIGUOUS_SERIES' },
        );
      }
      return only === undefined
        ? undefined
        : capacityForecast(only, { horizonMs, capacity, confidence });
    },
  };
}

/** A host that is new has no hour yet, but its series is known from the open windows of five minutes. */
async function seriesSoFar(
  series: FleetPort['series'],
  query: FleetSeriesQuery,
): Promise<readonly FleetSeries[]> {
  const found = await series({ ...query, step: '5m', from: query.to - hours(2) });
  return found.map((each) => ({ ...each, points: [] }));
}

const hostsIn = (task: FleetTask) =>
  task.instance.exposed.get('hosts') as LatestView<FleetHostState> | undefined;

const newer = (a: FleetHostState, b: FleetHostState | undefined): FleetHostState =>
  b !== undefined && b.lastSeen > a.lastSeen ? b : a;

const statusOf = (ageMs: number): HostStatus =>
  ageMs <= UP_MS ? 'up' : ageMs <= STALE_MS ? 'stale' : 'down';

async function seriesOf(
  query: FleetSeriesQuery,
  store: FleetStore,
  tasks: readonly FleetTask[],
): Promise<readonly FleetSeries[]> {
  const { metricType, field, from, to, step } = query;
  const wanted = Object.entries(query.tags ?? {});
  const found = new Map<string, FleetSeriesId & { points: Map<number, FleetPoint> }>();
  let points = 0;
  const add = (rollup: Omit<KeptRollup, 'digest' | 'lineage'>, final: boolean): void => {
    if (metricType !== undefined && rollup.metricType !== metricType) return;
    if (field !== undefined && rollup.field !== field) return;
    if (wanted.some(([name, value]) => rollup.tags[name] !== value)) return;
    const { host, tags } = rollup;
    const key = [host, rollup.metricType, rollup.field, tagsText(tags)].join('\u001e');
    let series = found.get(key);
    if (series === undefined) {
      const { metricType: type, field: name } = rollup;
      series = { host, metricType: type, field: name, tags, points: new Map() };
      found.set(key, series);
    }
    // What is closed and stored stands over what a task still has open.
    if (!final && series.points.has(rollup.window.start)) return;
    if (++points > POINTS_MAX) throw tooMuch();
    series.points.set(rollup.window.start, pointOf(rollup, final));
  };
  const hosts = query.hosts ?? knownHosts(store, tasks);
  for (const host of hosts) {
    for await (const rollup of store.rollups({ host, metricType, field, step, from, to }))
      add(rollup, true);
  }
  const asked = query.hosts === undefined ? undefined : new Set(query.hosts);
  for (const task of tasks) {
    for (const rollup of openRollups(task, step, { from, to, hosts: asked })) add(rollup, false);
  }
  return [...found.entries()]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, { points: byStart, ...series }]) => ({
      ...series,
      points: [...byStart.values()].sort((a, b) => a.window.start - b.window.start),
    }));
}

const knownHosts = (store: FleetStore, tasks: readonly FleetTask[]): ReadonlySet<string> =>
  new Set([
    ...store.hosts().map(({ host }) => host),
    ...tasks.flatMap((task) => Array.from(hostsIn(task)?.entries() ?? [], ([name]) => name)),
  ]);

/** Windows that readings may still change; of hours and days, what their closed five minutes have given so far. */
function* openRollups(
  task: FleetTask,
  step: string,
  range: {
    readonly from: number;
    readonly to: number;
    readonly hosts: ReadonlySet<string> | undefined;
  },
): Generator<KeptRollup> {
  const view = task.instance.exposed.get(`readings ${step}`) as
    | WindowView<FieldSummaries>
    | undefined;
  for (const { start, entries } of view?.open() ?? []) {
    if (start < range.from || start >= range.to) continue;
    for (const entry of entries) {
      if (range.hosts?.has(entry.key[0] as string) === false || entry.lastOffset < 0) continue;
      yield* fleetRollupsOf('', closedRow(entry, 0));
    }
  }
}

function pointOf(rollup: KeptRollup, final: boolean): FleetPoint {
  const { window, count, sum, min, max, mean, stddev, p50, p95, p99, revision } = rollup;
  return { window, count, sum, min, max, mean, stddev, p50, p95, p99, revision, final };
}

const tooMuch = () =>
  new FatalError(`the answer would have more than ${POINTS_MAX} points`, {
    code: 'TOO_MUCH_ASKED',
  });

/** Two standard deviations from the trailing window, series by series, over stored five-minute means [S3]. */
async function zScores(
  query: Parameters<FleetPort['anomalies']>[0],
  series: FleetPort['series'],
): Promise<readonly FleetAnomaly[]> {
  const { host, metricType, field, from, to, limit } = query;
  const found: FleetAnomaly[] = [];
  const judged = await series({
    // What lies before is what the first of the range are held against.
    from: from - hours(24),
    to,
    step: '5m',
    ...(host === undefined ? {} : { hosts: [host] }),
    ...(metricType === undefined ? {} : { metricType }),
    ...(field === undefined ? {} : { field }),
  });
  for (const { points, ...id } of judged) {
    if (id.field.endsWith('_total')) continue;
    const detector: Detector = createDetector('z-score');
    for (const { window, mean, final } of points) {
      if (!final || !Number.isFinite(mean)) continue;
      const score = detector.push(window.start, mean);
      if (score < 0.5 || window.start < from) continue;
      found.push({
        ...id,
        region: '',
        environment: '',
        window,
        value: mean,
        score,
        detector: 'z-score',
      });
    }
  }
  return found.sort((a, b) => b.window.start - a.window.start).slice(0, limit);
}

/** Kept for ever: the last word on each annotation. */
export const annotationsTopic: TopicSpec = { name: ANNOTATIONS_TOPIC, cleanup: 'compact' };

/** Topics that these feeds read and that must be there before them, since a feed would make them as any other. */
export const topicsBefore = (feeds: readonly Topology[]): readonly TopicSpec[] =>
  feeds.some(({ sources }) => sources.some(({ topic }) => topic === ANNOTATIONS_TOPIC))
    ? [annotationsTopic]
    : [];

const ANNOTATIONS_MAX = 10_000;

/** Annotations: in a compacted topic, so that every process has them; read from the store that its feed keeps. */
export function annotationsFrom(parts: {
  readonly store: () => FleetStore;
  readonly broker: Broker;
  readonly clock: Pick<Clock, 'now'>;
}): AnnotationsPort {
  const { store, broker, clock } = parts;
  let made: Promise<void> | undefined;
  const say = async (annotation: StoredAnnotation): Promise<void> => {
    made ??= broker.createTopics([annotationsTopic]).catch((error) => {
      made = undefined;
      throw error;
    });
    await made;
    await broker.append(ANNOTATIONS_TOPIC, [
      { key: annotation.id, value: JSON.stringify(annotation) },
    ]);
    // At once here, so that who wrote it can read it; its feed brings it again.
    await store().put([{ kind: 'annotation', annotation }]);
  };
  return {
    async list({ from, to, tags, host, limit }) {
      const fits = (each: Annotation) =>
        each.time < to &&
        (each.endTime === null ? each.time >= from : each.endTime > from) &&
        tags.every((tag) => each.tags.includes(tag)) &&
        (host === undefined || each.host === null || each.host === host);
      return store().annotations().filter(fits).slice(0, limit);
    },
    async add(draft) {
      if (store().annotations().length >= ANNOTATIONS_MAX) {
        throw new FatalError(`there are ${ANNOTATIONS_MAX} annotations already`, {
          code: 'TOO_MANY_ANNOTATIONS',
        });
      }
      const annotation = { id: randomUUID(), ...draft, createdAt: clock.now() };
      await say(annotation);
      return annotation;
    },
    async remove(id) {
      const annotation = store().annotation(id);
      if (annotation !== undefined) await say({ ...annotation, removed: true });
      return annotation;
    },
  };
}
