/** The house rules as functions from sources to complaints, so that they can be tried on planted faults. */
import { posix } from 'node:path';
import { type Import, importsOf, mask, type SourceFile } from './source.ts';

/** Rooms of src/, first the one that imports nothing. Each may import itself and what stands before it. */
export const rooms = [
  'version',
  'model',
  'stats',
  'runtime',
  'broker',
  'state',
  'stream',
  'delivery',
  'databases',
  'query',
  'alerts',
  'jobs',
  'collect',
  'api',
  'wiring',
  'main',
  'cli',
  'index',
] as const;

/** These choose and join the parts: they may open a database's or a broker's own door. */
const joiners = new Set(['wiring', 'main', 'cli', 'index']);

/** Rooms that a topology may use. */
const topologyRooms = new Set(['model', 'stats', 'stream']);

/**
 * Where a dependency may be imported: folders of the product. Tests and benches may import any, to have
 * something independent to compare with.
 */
export const doors: Readonly<Record<string, readonly string[]>> = {
  '@fastify/': ['src/api'],
  '@influxdata/influxdb-client': ['src/databases/influx'],
  'cassandra-driver': ['src/databases/kairos'],
  'cli-progress': ['src/cli'],
  commander: ['src/cli'],
  fastify: ['src/api'],
  kafkajs: ['src/broker/kafka'],
  // A job's units move from one table to another in one commit, also where the log is Kafka's.
  lmdb: ['src/broker/embedded', 'src/databases/embedded', 'src/jobs'],
  'lz4-napi': ['src/broker/kafka'],
  // Not imported: bin/launch.js runs it.
  node: [],
  nodemailer: ['src/alerts'],
  pino: ['src/runtime'],
  'prom-client': ['src/runtime'],
  rxjs: ['src/stream', 'topologies'],
  snappy: ['src/broker/kafka'],
  systeminformation: ['src/collect'],
  // Values, not I/O: schemas stand beside what they describe.
  typebox: ['src'],
  // Not imported: its files are served to the dashboard as they are.
  uplot: ['src/api'],
};

const isTest = (path: string) =>
  /\.(?:test|suite)\.ts$/.test(path) || path.startsWith('test/') || path.startsWith('bench/');

/** The room of a file of src/: its folder, or the file's own name when it lies in src/ itself. */
const roomOf = (path: string): string | undefined => /^src\/([^/.]+)/.exec(path)?.[1];

const isRelative = (specifier: string) => specifier.startsWith('.');

interface Edge extends Import {
  readonly from: string;
  /** Path in the project for relative imports, else undefined. */
  readonly to: string | undefined;
}

export function edgesOf(files: readonly SourceFile[]): readonly Edge[] {
  return files.flatMap(({ path, text }) =>
    importsOf(text).map((each) => ({
      ...each,
      from: path,
      to: isRelative(each.specifier)
        ? posix.normalize(posix.join(posix.dirname(path), each.specifier))
        : undefined,
    })),
  );
}

export function roomOrderFaults(files: readonly SourceFile[]): readonly string[] {
  const faults: string[] = [];
  for (const { from, to } of edgesOf(files)) {
    if (to === undefined) continue;
    const [own, other] = [roomOf(from), roomOf(to)];
    const say = (why: string) => faults.push(`${from} imports ${to}: ${why}`);
    if (own !== undefined && !rooms.includes(own as never)) say(`${own} is no room`);
    if (/^(?:test|bench)\//.test(to) && !isTest(from)) say('the product stands without its tests');

    if (to.startsWith('topologies/')) {
      const isWiring = own === 'wiring' || own === 'main';
      if (!from.startsWith('topologies/') && !isWiring && !isTest(from)) {
        say('only the wiring imports topologies');
      }
      continue;
    }
    if (other === undefined || own === other) continue;
    if (!rooms.includes(other as never)) {
      say(`${other} is no room`);
      continue;
    }
    if (from.startsWith('topologies/') && !isTest(from) && !topologyRooms.has(other)) {
      say('a topology knows model, stats and stream only');
    }
    if (own !== undefined && rooms.indexOf(other as never) > rooms.indexOf(own as never)) {
      say(`${other} comes after ${own}`);
    }
    const isRoomDoor = to === `src/${other}/index.ts` || to === `src/${other}.ts`;
    const isInnerDoor = /^src\/[^/]+\/[^/]+\/index\.ts$/.test(to);
    const mayOpenInner = isTest(from) || (own !== undefined && joiners.has(own));
    // The wiring is the workshop of those who join, and a suite is made for tests to run.
    const isWorkshop = other === 'wiring' && own !== undefined && joiners.has(own);
    const isSuite = isTest(from) && to.endsWith('.suite.ts');
    const isOpen = isRoomDoor || (isInnerDoor && mayOpenInner) || isWorkshop || isSuite;
    if (!isOpen) say(`its door is src/${other}/index.ts`);
  }
  return faults;
}

export function doorFaults(
  files: readonly SourceFile[],
  declared: ReadonlySet<string>,
): readonly string[] {
  const faults: string[] = [];
  for (const { from, to, specifier } of edgesOf(files)) {
    if (to !== undefined || specifier.startsWith('node:') || specifier.startsWith('tidemark'))
      continue;
    const name = packageOf(specifier);
    if (!declared.has(name)) {
      faults.push(`${from} imports ${specifier}: package.json does not name ${name}`);
      continue;
    }
    if (isTest(from)) continue;
    const allowed = doorsOf(name);
    if (allowed === undefined) {
      faults.push(`${from} imports ${specifier}: it has no door in test/house/rules.ts`);
    } else if (!allowed.some((folder) => from.startsWith(`${folder}/`))) {
      faults.push(`${from} imports ${specifier}: its door is ${allowed.join(', ') || 'shut'}`);
    }
  }
  return faults;
}

export const packageOf = (specifier: string): string =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');

export const doorsOf = (name: string): readonly string[] | undefined =>
  doors[name] ??
  Object.entries(doors).find(([key]) => key.endsWith('/') && name.startsWith(key))?.[1];

/** Time and chance that nobody passed in. `new Date()` without an argument is a look at the clock, too. */
const clockReads =
  /\bDate\.now\b|\bnew Date\(\s*\)|\bMath\.random\b|\b(?:setTimeout|setInterval)\b|\bperformance\.now\b|\bprocess\.hrtime\b/g;

export function clockFaults(
  files: readonly SourceFile[],
  allowed: Readonly<Record<string, string>>,
): readonly string[] {
  return files.flatMap(({ path, text }) => {
    if (isTest(path) || Object.keys(allowed).some((prefix) => path.startsWith(prefix))) return [];
    return Array.from(
      mask(text).bare.matchAll(clockReads),
      ([what]) => `${path} uses ${what}: take a Clock (src/runtime/clock.ts)`,
    );
  });
}

/** Each ring of files that import one another, once, from its first name on. Type-only imports cost nothing. */
export function importCycles(files: readonly SourceFile[]): readonly string[] {
  const next = new Map<string, string[]>();
  for (const { from, to, isTypeOnly } of edgesOf(files)) {
    if (to !== undefined && !isTypeOnly) next.set(from, [...(next.get(from) ?? []), to]);
  }
  const cycles = new Set<string>();
  const finished = new Set<string>();
  const visit = (path: string, trail: readonly string[]): void => {
    const seenAt = trail.indexOf(path);
    if (seenAt >= 0) {
      const ring = trail.slice(seenAt);
      const first = ring.indexOf([...ring].sort()[0]!);
      const turned = [...ring.slice(first), ...ring.slice(0, first)];
      cycles.add([...turned, turned[0]].join(' → '));
      return;
    }
    if (finished.has(path)) return;
    for (const to of next.get(path) ?? []) visit(to, [...trail, path]);
    finished.add(path);
  };
  for (const path of [...next.keys()].sort()) visit(path, []);
  return [...cycles];
}
