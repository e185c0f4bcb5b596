/** The engine as commands start it. `main.ts` is loaded when one is needed, so that the others start fast. */
import type { EngineView } from '../api/index.ts';
import type { Role, Settings } from '../runtime/index.ts';

export interface Engine {
  readonly view: EngineView;
  /** Where the HTTP service listens; undefined without role api. */
  readonly url: string | undefined;
  /** A recording is through: closes every window of this topology and commits. */
  finish(topology: string): Promise<void>;
  /** Drains, commits, closes. Safe to call twice. */
  stop(): Promise<void>;
}

export interface StartOptions {
  /** Instead of the settings'. */
  readonly roles?: readonly Role[];
  /** Names of shipped topologies, or files (`./mine.ts`); absent: those that ship. */
  readonly topologies?: readonly string[];
}

/** One thing that `setup` made, or found made. */
export interface SetupStep {
  /** `topic votes (2 partitions)`, `bucket vote-latencies-raw`. */
  readonly what: string;
  readonly outcome: 'made' | 'kept';
}

/** What `src/main.ts` exports for the command line. */
export interface MainModule {
  startEngine(settings: Settings, options?: StartOptions): Promise<Engine>;
  /** Topics, buckets, keyspace, tasks: makes what is missing in what the settings name. */
  setUp(
    settings: Settings,
    options?: { readonly fluxTasks?: boolean | undefined },
  ): Promise<readonly SetupStep[]>;
}

// A variable keeps the compiler from tying this room to the one below it.
const mainModule = '../main.ts';

/** The compiled program has .js files; the sources run as they are. */
export const loadMain = async (): Promise<MainModule> =>
  (await import(
    import.meta.url.endsWith('.js') ? mainModule.replace(/\.ts$/, '.js') : mainModule
  )) as MainModule;
