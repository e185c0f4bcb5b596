/** Who races in bench/peers.ts: what each is called, how its process is started, and what it needs for that. */
import { prepareJava } from './java.ts';
import { preparePython } from './python.ts';

export interface Entrant {
  readonly name: string;
  readonly script: 'entrant' | 'raw-consumer' | readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** Whether it writes rollups and commits; what only parses has nothing to check. */
  readonly computes: boolean;
}

type Candidate = Omit<Entrant, 'script'> & {
  /** Fetches and compiles what it needs; throws with what is missing. */
  prepare(folder: string): Entrant['script'];
};

/** In the order in which they race. */
const candidates = {
  tidemark: { name: 'Tidemark', computes: true, prepare: () => 'entrant' },
  kafkajs: { name: 'kafkajs, parse only', computes: false, prepare: () => 'raw-consumer' },
  expert: {
    name: 'Kafka Streams, Processor API',
    computes: true,
    prepare: (folder) => prepareJava('kafka-streams', 'Expert', folder),
  },
  dsl: {
    name: 'Kafka Streams, DSL in memory',
    environment: { BENCH_STORES: 'memory' },
    computes: true,
    prepare: (folder) => prepareJava('kafka-streams', 'Dsl', folder),
  },
  'dsl-rocksdb': {
    name: 'Kafka Streams, DSL on RocksDB',
    environment: { BENCH_STORES: 'rocksdb' },
    computes: true,
    prepare: (folder) => prepareJava('kafka-streams', 'Dsl', folder),
  },
  flink: {
    name: 'Flink, DataStream API',
    computes: true,
    prepare: (folder) => prepareJava('flink', 'Flink', folder),
  },
  bytewax: {
    name: 'Bytewax, batches in plain Python',
    computes: true,
    prepare: () => preparePython('bytewax'),
  },
} as const satisfies Readonly<Record<string, Candidate>>;

type EntrantId = keyof typeof candidates;

export const entrantIds = Object.keys(candidates) as readonly EntrantId[];

/** Those that can run here, by id; who can't is named on stderr with the reason. `folder` is theirs to compile into. */
export function prepareEntrants(
  ids: readonly EntrantId[],
  folder: string,
): ReadonlyMap<EntrantId, Entrant> {
  const ready = new Map<EntrantId, Entrant>();
  for (const id of ids) {
    const { prepare, ...entrant }: Candidate = candidates[id];
    try {
      ready.set(id, { ...entrant, script: prepare(folder) });
    } catch (error) {
      process.stderr.write(`${entrant.name} does not race: ${(error as Error).message}\n`);
    }
  }
  return ready;
}
