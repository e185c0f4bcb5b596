/** An engine as the HTTP service sees one, with a memory broker and a little of everything, for tests. */
import type {
  BacklogView,
  Distribution,
  EngineView,
  HistoryQuery,
  JobsView,
  LiveEntry,
  LiveVotes,
  LiveWindow,
  ReplayJob,
  ReplayRequest,
} from '../../src/api/index.ts';
import type { JobView } from '../../src/jobs/index.ts';
import { FatalError, RetriableError } from '../../src/model/index.ts';
import { fakeAlerts } from './fake-alerts.ts';
import { fakeAnnotations, fakeFleet } from './fake-fleet.ts';
import { type MemoryBroker, memoryBroker } from './memory-broker.ts';

export interface FakeEngine extends EngineView {
  readonly broker: MemoryBroker;
  /** What was asked, in order. */
  readonly asked: unknown[];
  state: { ready: boolean; healthy: boolean; reasons: string[] };
}

const window: LiveWindow = {
  window: { start: 1_700_000_000_000, end: 1_700_000_300_000 },
  count: 3,
  sum: 6,
  min: 1,
  max: 3,
  mean: 2,
  stddev: 0.816,
  p50: 2,
  p95: 3,
  p99: 3,
  final: false,
};

export const liveEntry = (id: string): LiveEntry => ({
  id,
  network: 'testnet',
  voteAccount: `account-of-${id}`,
  open: window,
  closed: null,
  lastSlot: 42,
  movingAverage: 2.5,
  asOf: { offset: 9, watermark: 1_700_000_000_500 },
});

const distribution: Distribution = {
  count: 3,
  bins: [
    { from: 1, to: 2, count: 1 },
    { from: 2, to: 3, count: 1 },
    { from: 3, to: 4, count: 1 },
  ],
  quantiles: [{ q: 0.5, value: 2 }],
};

const backlogView = (sink: string): BacklogView => ({
  sink,
  topic: 'votes',
  points: 7,
  bytes: 700,
  oldestAgeMs: 1_500,
  dropped: 0,
  rejected: 1,
  paused: false,
  breaker: 'closed',
  lastError: null,
  nextAttemptAt: null,
});

const jobView = (state: JobView['state']): JobView => ({
  id: 'j1',
  kind: 'verify',
  title: 'kairos.votes',
  state,
  input: {},
  noun: 'points',
  units: { total: 4, done: 1, failed: 1, running: 0 },
  progress: { done: 10, total: 40 },
  perSecond: null,
  etaMs: null,
  createdAt: 1_700_000_000_000,
  endedAt: null,
  error: null,
});

/** One job, `j1`, which is as it was last told to be. */
function fakeJobs(asked: unknown[]): JobsView {
  let state: JobView['state'] = 'running';
  const told = (next: JobView['state']) => async (id: string) => {
    if (id !== 'j1') return undefined;
    state = next;
    return jobView(state);
  };
  return {
    submit: async (kind, input) => {
      asked.push({ kind, input });
      if (kind === 'verify') return jobView(state);
      throw new FatalError(`no job is of the kind ${kind}`, { code: 'UNKNOWN_KIND' });
    },
    list: () => [jobView(state)],
    get: (id) => (id === 'j1' ? jobView(state) : undefined),
    pause: told('paused'),
    resume: told('running'),
    retry: told('running'),
    cancel: told('cancelled'),
    report: (id) =>
      id === 'j1'
        ? {
            ...jobView(state),
            failures: [{ unit: 'hour 1', code: 'SINK_FAILED', message: 'it said no', attempts: 3 }],
            notes: [],
            noteCount: 0,
            results: [],
            summary: [],
          }
        : undefined,
  };
}

/** Topics `votes` (keyed by validator, 2 partitions), `plain` (1) and `tidemark.state` (internal). */
export async function fakeEngine(): Promise<FakeEngine> {
  const broker = memoryBroker();
  await broker.createTopics([
    { name: 'votes', partitions: 2 },
    { name: 'plain' },
    { name: 'tidemark.state' },
  ]);
  const asked: unknown[] = [];
  const jobs = new Map<string, ReplayJob>();
  const state = { ready: true, healthy: true, reasons: [] as string[] };
  const sinks = ['influx.vote-latencies-raw', 'kairos.vote_latency'];
  const live: LiveVotes = {
    validators: ({ sort, limit }) => {
      asked.push({ sort, limit });
      return ['a', 'b', 'c'].slice(0, limit).map(liveEntry);
    },
    validator: (id) => (id === 'a' ? liveEntry('a') : undefined),
    network: (name) => (name === 'testnet' ? liveEntry('testnet') : undefined),
    stored: (_, id) => (id === 'elsewhere' ? { ...liveEntry(id), open: null } : undefined),
  };
  return {
    version: '0.0.0-test',
    broker,
    asked,
    state,
    keyField: (topic) => (topic === 'votes' ? 'validator' : undefined),
    watermark: (topic, partition) =>
      topic === 'votes' && partition === 0 ? 1_700_000_000_000 : null,
    topologies: () => [
      {
        name: 'vote-latency',
        graph: { nodes: [{ id: 'votes', kind: 'source', label: 'votes' }], edges: [] },
        text: 'votes',
        mermaid: 'flowchart LR',
        hash: 'abc',
        tasks: [
          {
            partition: 0,
            state: 'running',
            epoch: 4,
            watermark: 1_700_000_000_000,
            offsets: [{ topic: 'votes', partition: 0, nextOffset: 10, endOffset: 15, lag: 5 }],
            idle: false,
            restarts: 0,
            error: null,
          },
        ],
      },
    ],
    live,
    liveAt: async (atMs) => {
      asked.push({ atMs });
      return live;
    },
    history: {
      points: async (query: HistoryQuery) => {
        asked.push(query);
        const { final: _, ...summary } = window;
        if (query.id === 'away')
          throw new FatalError('influx: away', { code: 'HISTORY_UNANSWERED' });
        return { store: 'embedded', points: [{ ...summary, movingAverage: 2, revision: 0 }] };
      },
      quantile: async (query) => {
        asked.push(query);
        return query.id === 'nobody' ? undefined : { value: 2.5, count: 3, windows: 1 };
      },
    },
    stored: {
      list: () => [{ name: 'network-stats', says: 'A network’s rollups', needs: ['network'] }],
      ask: async (name, values) => {
        asked.push({ name, ...values });
        if (values.network === 'away')
          throw new RetriableError('InfluxDB does not answer', { code: 'SINK_UNREACHABLE' });
        return [{ start: values.from, network: values.network, count: 3 }];
      },
    },
    distributions: {
      live: ({ id }) => (id === 'testnet' || id === 'a' ? distribution : undefined),
      stored: async (query) => {
        asked.push(query);
        return query.id === 'nobody' ? undefined : distribution;
      },
    },
    replays: {
      start: async (request: ReplayRequest) => {
        asked.push(request);
        if (request.name === 'full') {
          throw new FatalError('4 replays run already', { code: 'TOO_MANY_REPLAYS' });
        }
        if (request.name !== 'vote-latency') {
          throw new FatalError(`no topology or sink ${request.name}`, { code: 'UNKNOWN_NAME' });
        }
        const job: ReplayJob = {
          id: `r${jobs.size + 1}`,
          name: request.name,
          state: 'running',
          progress: { done: 0, total: 10 },
          startedAt: 1_700_000_000_000,
          endedAt: null,
          error: null,
          into: request.into ?? [],
          diff: null,
        };
        jobs.set(job.id, job);
        return job;
      },
      list: () => [...jobs.values()],
      get: (id) => jobs.get(id),
      cancel: async (id) => {
        const job = jobs.get(id);
        if (job === undefined) return undefined;
        const cancelled: ReplayJob = { ...job, state: 'cancelled', endedAt: 1_700_000_000_001 };
        jobs.set(id, cancelled);
        return cancelled;
      },
    },
    jobs: fakeJobs(asked),
    explain: async (text) => {
      throw new FatalError(`no rollup is stored as ${text}`, { code: 'UNKNOWN_POINT' });
    },
    alerts: fakeAlerts(),
    fleet: fakeFleet(asked),
    annotations: fakeAnnotations(),
    backlog: async () => sinks.map(backlogView),
    flushBacklog: async () => true,
    clearBacklog: async () => 7,
    pauseSinks: async (sinks, paused) => void asked.push({ sinks, paused }),
    blocked: () => undefined,
    readiness: () => ({ ready: state.ready, reasons: state.reasons }),
    health: () => ({ healthy: state.healthy, reasons: state.reasons }),
  };
}
