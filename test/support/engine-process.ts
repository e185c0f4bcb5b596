/**
 * The program as its users run it: `bin/tidemark up`, in a process of its own, killed, stopped and asked over
 * HTTP. What it prints is kept for the message of a test that fails.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { HEALTH } from '../../src/alerts/index.ts';
import type { Broker } from '../../src/broker/index.ts';
import { systemClock } from '../../src/runtime/index.ts';
import type { Topology } from '../../src/stream/index.ts';

const tidemark = fileURLToPath(new URL('../../bin/tidemark', import.meta.url));

export interface EngineProcessOptions {
  readonly data: string;
  /** Servers and settings. None is taken from the tests' own environment. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Behind `up --data … --port 0`. */
  readonly flags?: readonly string[];
  /** A script to run instead of `bin/tidemark up`; it gets the same flags and must say `listening on URL`. */
  readonly script?: string;
}

const PRINTED_KEPT = 8_000;
const START_WITHIN_MS = 60_000;

export class EngineProcess {
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  readonly #listening: Promise<string>;
  #printed = '';

  constructor(options: EngineProcessOptions) {
    const { data, environment = {}, flags = [], script } = options;
    const program =
      script === undefined
        ? [tidemark, 'up']
        : ['--disable-warning=ExperimentalWarning', '--conditions=tidemark-source', script];
    this.#child = spawn(process.execPath, [...program, '--data', data, '--port', '0', ...flags], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env.PATH,
        LOG_LEVEL: 'warn',
        TIDEMARK_TELNET_PORT: '0',
        ...environment,
      },
    });
    this.#exited = once(this.#child, 'close');
    this.#listening = new Promise((resolve, reject) => {
      const print = (bytes: Buffer) => {
        this.#printed = (this.#printed + bytes).slice(-PRINTED_KEPT);
        const url = /^listening on (\S+)$/m.exec(this.#printed)?.[1];
        if (url !== undefined) resolve(url);
      };
      this.#child.stdout?.on('data', print);
      this.#child.stderr?.on('data', print);
      void this.#exited.then(() =>
        reject(new Error(`it ended before it listened: ${this.report}`)),
      );
    });
    // A life may be over before anybody asks whether it listened.
    this.#listening.catch(() => {});
  }

  /** One that is gone, whatever happens, when the test is over. */
  static forThisTest(options: EngineProcessOptions): EngineProcess {
    const engine = new EngineProcess(options);
    onTestFinished(() => engine.kill());
    return engine;
  }

  /** Resolves with the address once it takes requests; rejects when it ends before. */
  async url(): Promise<string> {
    const late = new AbortController();
    const url = await Promise.race([
      this.#listening,
      systemClock.sleep(START_WITHIN_MS, late.signal).then(() => undefined),
    ]);
    late.abort();
    if (url === undefined) throw new Error(`it does not listen: ${this.report}`);
    return url;
  }

  get isAlive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** The end of what it printed. */
  get report(): string {
    return this.#printed.slice(-2_000);
  }

  /** kill -9; resolves when it is gone. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Stands still for so long, as a process on a machine that was suspended does; then goes on. */
  async sleep(ms: number): Promise<void> {
    this.#child.kill('SIGSTOP');
    await systemClock.sleep(ms);
    this.#child.kill('SIGCONT');
  }

  /** SIGTERM; resolves with the exit code. */
  async stop(): Promise<number | null> {
    this.#child.kill('SIGTERM');
    await this.#exited;
    return this.#child.exitCode;
  }
}

export async function getJson<T>(url: string): Promise<T> {
  const response = await fetch(url);
  const text = await response.text();
  if (!response.ok) throw new Error(`${url}: ${response.status} ${text}`);
  return JSON.parse(text) as T;
}

interface Topics {
  readonly topics: readonly {
    readonly name: string;
    readonly partitions: readonly { readonly partition: number; readonly nextOffset: number }[];
  }[];
}
export interface Topologies {
  readonly topologies: readonly {
    readonly name: string;
    readonly graph: {
      readonly nodes: readonly { readonly id: string; readonly kind: string }[];
      readonly edges: readonly { readonly to: string }[];
    };
    readonly tasks: readonly {
      readonly partition: number;
      readonly state: string;
      readonly error: string | null;
      readonly idle: boolean;
      readonly offsets: readonly {
        readonly topic: string;
        readonly nextOffset: number;
        readonly lag: number;
      }[];
    }[];
  }[];
}
interface Backlog {
  readonly sinks: readonly {
    readonly sink: string;
    readonly points: number;
    readonly lastError: string | null;
  }[];
}

/**
 * What members of one group still owe: tasks that nobody runs (a dead member's, until the group notices) and
 * records that their group has not committed.
 */
export async function unfinishedIn(
  engines: readonly EngineProcess[],
  broker: Broker,
  topologies: readonly Topology[],
): Promise<string[]> {
  const owed: string[] = [];
  const running = new Map<string, number>();
  for (const engine of engines) {
    const seen = await getJson<Topologies>(`${await engine.url()}/v1/topologies`);
    for (const { name, tasks } of seen.topologies)
      running.set(name, (running.get(name) ?? 0) + tasks.length);
  }
  for (const topology of topologies) {
    let wanted = 0;
    for (let stage = 0; stage < topology.stages; stage++) {
      const sources = topology.sources.filter((source) => source.stage === stage);
      const described = await broker.describeTopics(sources.map(({ topic }) => topic));
      const committed = await broker.committedOffsets(topology.group(stage));
      wanted += Math.max(...described.map(({ partitions }) => partitions.length));
      for (const { name: topic, partitions } of described) {
        for (const { partition, firstOffset, nextOffset } of partitions) {
          const at = committed.find((c) => c.topic === topic && c.partition === partition);
          const from = at?.offset ?? firstOffset;
          // Behind the last record there may be markers of transactions.
          if (from < nextOffset && (await broker.read({ topic, partition, from })) !== null)
            owed.push(
              `${topology.group(stage)} is at ${from} of ${nextOffset} in ${topic}/${partition}`,
            );
        }
      }
    }
    const tasks = running.get(topology.name) ?? 0;
    if (tasks !== wanted) owed.push(`${topology.name} has ${tasks} of ${wanted} tasks`);
  }
  return owed;
}

/**
 * What an engine measures of itself every few seconds, for as long as it lives, and the topology that judges it:
 * neither ever comes to rest.
 */
const ownHealth = (name: string) =>
  name === HEALTH || name === 'alerts-health' || name.startsWith('tidemark.alerts-health.');

/** So long nothing may come after the last task has become idle: its last windows are others' records. */
const AFTER_IDLE_MS = 2_000;

/**
 * Resolves when engines that share a log have nothing left to do: all is read, stored and committed, every task that
 * writes to topics is idle, so that its last windows are out, and no topic has grown since. With `quietMs` that is
 * all that is waited for, idle or not. Rejects with what they still had after `withinMs`.
 */
export async function settled(
  engines: readonly EngineProcess[],
  {
    quietMs = undefined as number | undefined,
    withinMs = 120_000,
    alsoUnfinished = async (): Promise<string[]> => [],
  } = {},
): Promise<void> {
  const urls = await Promise.all(engines.map((engine) => engine.url()));
  const giveUpAt = systemClock.now() + withinMs;
  let before = '';
  let quietSince = systemClock.now();
  for (;;) {
    const busy = [
      ...(await Promise.all(urls.map((url) => unfinished(url, quietMs === undefined)))).flat(),
      ...(await alsoUnfinished()),
    ];
    const { topics } = await getJson<Topics>(`${urls[0]}/v1/topics?internal=true`);
    const ends = JSON.stringify(
      topics
        .filter(({ name }) => !ownHealth(name))
        .map(({ name, partitions }) => [name, partitions.map((p) => p.nextOffset)]),
    );
    const now = systemClock.now();
    if (busy.length > 0 || ends !== before) quietSince = now;
    before = ends;
    if (now - quietSince >= (quietMs ?? AFTER_IDLE_MS)) return;
    if (now > giveUpAt) {
      const reports = engines.map((engine) => engine.report).join('\n--\n');
      throw new Error(`not settled after ${withinMs} ms: ${busy.join('; ')}\n${ends}\n${reports}`);
    }
    await systemClock.sleep(200);
  }
}

/** Whether what it reads leads to records: else nothing of it is held back, and it need not be idle to be through. */
function hasOutputs({ nodes, edges }: Topologies['topologies'][number]['graph']): boolean {
  const topics = new Set(nodes.filter(({ kind }) => kind === 'topic').map(({ id }) => id));
  return edges.some(({ to }) => topics.has(to));
}

/**
 * What an engine has still to do: tasks that do not run or have not read all, sinks that have not stored all; and, if
 * asked for, tasks that are not idle.
 */
export async function unfinished(url: string, untilIdle = false): Promise<string[]> {
  const { topologies } = await getJson<Topologies>(`${url}/v1/topologies`);
  const tasks = topologies.flatMap(({ name, graph, tasks }) =>
    tasks
      .filter(
        (task) =>
          task.state !== 'running' ||
          (!ownHealth(name) &&
            (task.offsets.some(({ lag }) => lag > 0) ||
              (untilIdle && hasOutputs(graph) && !task.idle))),
      )
      .map((task) => `${name}/${task.partition} is ${task.state} ${task.error ?? ''}`),
  );
  const { sinks } = await getJson<Backlog>(`${url}/v1/backlog`);
  const waiting = sinks
    .filter(({ points }) => points > 0)
    .map(({ sink, points, lastError }) => `${sink} has ${points} left ${lastError ?? ''}`);
  return [...tasks, ...waiting];
}
