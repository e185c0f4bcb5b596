/** KairosDB's series as the settings have them: on Cassandra with what it reads beside it, or in this process. */
import { embeddedWideRows } from '../databases/embedded/index.ts';
import {
  cassandraWideRows,
  KairosStore,
  type ReadClusterOptions,
  type TagIndexConfig,
  type WriteOptions,
} from '../databases/kairos/index.ts';
import { FatalError } from '../model/index.ts';
import type { Clock, Settings } from '../runtime/index.ts';

/** Not yet connected. Throws FatalError CONFIG_INVALID. */
export function openKairosStore(
  settings: Settings,
  clock: Clock,
  write: WriteOptions,
): KairosStore {
  const { cassandra } = settings;
  const isEmbedded = cassandra.hosts.length === 0;
  return new KairosStore({
    rows: isEmbedded
      ? embeddedWideRows({ dataDirectory: settings.data, clock })
      : cassandraWideRows({ config: cassandra, clock }),
    clock,
    ...write,
    tagIndex: tagIndexOf(cassandra.tagIndex),
    readClusters: cassandra.readClusters.map((text) => readClusterOf(text, settings, clock)),
  });
}

/** `metric` is all its tags, `metric|tag` one; the last bar counts, because a metric's name may have some. */
export function tagIndexOf(entries: readonly string[]): TagIndexConfig {
  const index = new Map<string, string[]>();
  for (const entry of entries) {
    const bar = entry.lastIndexOf('|');
    const metric = bar === -1 ? entry : entry.slice(0, bar);
    const tags = index.get(metric) ?? [];
    tags.push(bar === -1 ? '*' : entry.slice(bar + 1));
    index.set(metric, tags);
  }
  return index;
}

export interface ReadClusterAddress {
  readonly hosts: readonly string[];
  readonly keyspace: string;
  readonly datacenter: string | undefined;
  readonly fromMs: number;
  readonly toMs: number;
}

const PARAMETERS = ['datacenter', 'from', 'to'];

/** Throws FatalError CONFIG_INVALID. */
export function parseReadCluster(text: string): ReadClusterAddress {
  const [, hosts = '', keyspace = '', rest = ''] = /^([^/?]+)\/(\w+)(?:\?(.*))?$/.exec(text) ?? [];
  if (keyspace === '') throw invalid(text, 'expected host[:port][;host…]/keyspace');
  const parameters = new URLSearchParams(rest);
  for (const name of parameters.keys()) {
    if (!PARAMETERS.includes(name)) {
      throw invalid(text, `${name} is none of ${PARAMETERS.join(', ')}`);
    }
  }
  const time = (name: string, open: number): number => {
    // A + that was not escaped is a blank in a query string.
    const given = parameters.get(name)?.replace(' ', '+');
    if (given === undefined) return open;
    const zoned = /(?:Z|[+-]\d\d:?\d\d)$/.test(given);
    const ms = zoned ? Date.parse(given.replace(/([+-]\d\d)(\d\d)$/, '$1:$2')) : Number.NaN;
    if (Number.isNaN(ms)) throw invalid(text, `${name} is no time such as 2024-01-01T00:00Z`);
    return ms;
  };
  const fromMs = time('from', Number.NEGATIVE_INFINITY);
  const toMs = time('to', Number.POSITIVE_INFINITY);
  if (fromMs >= toMs) throw invalid(text, 'from must be before to');
  return {
    hosts: hosts.split(';').filter(Boolean),
    keyspace,
    datacenter: parameters.get('datacenter') ?? undefined,
    fromMs,
    toMs,
  };
}

function readClusterOf(text: string, { cassandra }: Settings, clock: Clock): ReadClusterOptions {
  const { hosts, keyspace, datacenter = cassandra.datacenter, ...span } = parseReadCluster(text);
  const config = { ...cassandra, hosts, keyspace, datacenter, cellCache: undefined };
  const name = `${hosts.join(';')}/${keyspace}`;
  return { rows: cassandraWideRows({ config, clock }), name, ...span };
}

const invalid = (text: string, why: string): FatalError =>
  new FatalError(`cassandra.readClusters: ${JSON.stringify(text)}: ${why}`, {
    code: 'CONFIG_INVALID',
  });
