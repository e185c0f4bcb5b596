/**
 * KairosDB's keys (1.2 and 1.3, without `kairosdb.`) and what becomes of each: a setting of ours, nothing because ours
 * does it anyway, or something to be done by hand.
 */
import { isLoopback } from '../../runtime/index.ts';
import type { ConfigValue } from './hocon.ts';

/** A value that is none, or (`todo`) that has no counterpart. */
export class NotTranslated extends Error {
  readonly kind: 'wrong' | 'todo';

  constructor(message: string, kind: 'wrong' | 'todo' = 'wrong') {
    super(message);
    this.kind = kind;
  }
}

/** Settings by dotted path. Throws NotTranslated when the value is no good. */
type Translate = (value: ConfigValue, key: string) => Readonly<Record<string, unknown>>;

export type Rule =
  | { readonly to: Translate; readonly note?: (value: ConfigValue) => string | undefined }
  /** Nothing has to be done: why. */
  | { readonly always: string }
  /** There is no counterpart: what to do. */
  | { readonly todo: string };

const textOf = (value: ConfigValue): string => {
  if (typeof value === 'string') return value;
  throw new NotTranslated('expected a text');
};
const listOf = (value: ConfigValue): string[] =>
  Array.isArray(value)
    ? value.map(textOf)
    : textOf(value)
        .split(/\s*,\s*/)
        .filter(Boolean);
const intOf = (value: ConfigValue): number => {
  const text = textOf(value).trim();
  if (/^[+-]?\d{1,15}$/.test(text)) return Number(text);
  throw new NotTranslated(`expected a whole number, got ${JSON.stringify(text)}`);
};
const isTrue = (value: ConfigValue): boolean => {
  const text = textOf(value).trim().toLowerCase();
  if (text === 'true' || text === 'yes' || text === 'on') return true;
  if (text === 'false' || text === 'no' || text === 'off') return false;
  throw new NotTranslated(`expected true or false, got ${JSON.stringify(text)}`);
};

const text = (path: string): Rule => ({ to: (value) => ({ [path]: textOf(value) }) });
const int = (path: string, scale = 1): Rule => ({
  to: (value) => ({ [path]: intOf(value) * scale }),
});
/** Nothing while it says what ours does anyway, else something to do. */
const unless = (isOurs: (value: ConfigValue) => boolean, what: string): Rule => ({
  to: (value) => {
    if (isOurs(value)) return {};
    throw new NotTranslated(what, 'todo');
  },
});
const unlessText = (ours: string, what: string): Rule =>
  unless((value) => textOf(value).trim().toUpperCase() === ours.toUpperCase(), what);
const unlessEmpty = (what: string): Rule => unless((value) => listOf(value).length === 0, what);
const unlessOff = (what: string): Rule => unless(isOff, what);
const always = (why: string): Rule => ({ always: why });
const todo = (what: string): Rule => ({ todo: what });

/** Of roles, KairosDB's groups and ours. */
function rolesOf(value: ConfigValue): Readonly<Record<string, unknown>> {
  const words = listOf(value).map((word) => word.toUpperCase());
  const unknown = words.find((word) => !['ALL', 'INGEST', 'QUERY', 'DELETE'].includes(word));
  if (unknown !== undefined)
    throw new NotTranslated(`expected ALL, INGEST, QUERY or DELETE, got ${unknown}`);
  if (words.length === 0 || words.includes('ALL')) return {};
  const ingests = words.includes('INGEST') || words.includes('DELETE');
  return {
    roles: [...(ingests ? ['ingest', 'sinks'] : []), ...(words.includes('QUERY') ? ['query'] : [])],
  };
}

const TAG_INDEX = 'tag_indexed_row_key_lookup_metrics';
/** Settings that several keys add to. */
export const collected: ReadonlySet<string> = new Set(['cassandra.tagIndex']);

/** A list of metrics, or below each metric, however many dots it has, a list of its tags. */
function tagIndexOf(value: ConfigValue, key: string): Readonly<Record<string, unknown>> {
  const [, metric] = key.split(`${TAG_INDEX}.`);
  const names = listOf(value);
  if (metric === undefined) return names.length === 0 ? {} : { 'cassandra.tagIndex': names };
  const isAll = names.length === 0 || names.includes('*');
  return { 'cassandra.tagIndex': isAll ? [metric] : names.map((name) => `${metric}|${name}`) };
}

/** KairosDB's `2020-01-01T00:00+0000`; a zone without a sign to escape reads better. */
const clusterTime = (value: ConfigValue): string => {
  const text = textOf(value);
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d(?:Z|[+-]\d{4})$/.test(text)) {
    throw new NotTranslated(`expected a time such as 2020-01-01T00:00+0000, got ${text}`);
  }
  const ms = Date.parse(text.replace(/([+-]\d\d)(\d\d)$/, '$1:$2'));
  return new Date(ms).toISOString().replace(/:00\.000Z$/, 'Z');
};

function clustersOf(value: ConfigValue): string[] {
  if (!Array.isArray(value)) throw new NotTranslated('expected a list of clusters');
  return value.map((each: ConfigValue) => {
    if (typeof each === 'string' || Array.isArray(each)) {
      throw new NotTranslated('expected a list of clusters');
    }
    const given = each as { readonly [key: string]: ConfigValue };
    const hosts = given.cql_host_list === undefined ? ['localhost'] : listOf(given.cql_host_list);
    const parameters = [
      ...(given.local_dc_name === undefined ? [] : [`datacenter=${textOf(given.local_dc_name)}`]),
      ...(given.start_time === undefined ? [] : [`from=${clusterTime(given.start_time)}`]),
      ...(given.end_time === undefined ? [] : [`to=${clusterTime(given.end_time)}`]),
    ];
    const place = `${hosts.join(';')}/${textOf(given.keyspace ?? 'kairosdb')}`;
    return parameters.length === 0 ? place : `${place}?${parameters.join('&')}`;
  });
}

const driver = always('the driver opens and sizes its connections by itself');
const queue = always('points go through the durable log, whose batches size themselves');
const secret = (name: string) =>
  todo(`a secret, not printed: set ${name}, or ${name}_FILE to a file that holds it`);
const NO_TTL = 'no default time to live: send ttl with the points';
const forcedTtl = unless((value) => !isTrue(value), NO_TTL);

const ONE_COPY = '{class:SimpleStrategy,replication_factor:1}';

/** What a cluster's keys mean, with `write_cluster.` before them in 1.3 and without in 1.2. */
const cluster: Readonly<Record<string, Rule>> = {
  name: always('a label'),
  keyspace: text('cassandra.keyspace'),
  replication: unless(
    (value) => textOf(value).replaceAll(/["'\s]/g, '') === ONE_COPY,
    'only for a new keyspace: make it yourself before `tidemark setup` if it is not one copy',
  ),
  cql_host_list: { to: (value) => ({ 'cassandra.hosts': listOf(value) }) },
  local_dc_name: text('cassandra.datacenter'),
  local_datacenter: {
    to: (value) => (textOf(value) === '' ? {} : { 'cassandra.datacenter': textOf(value) }),
  },
  read_consistency_level: unlessText('ONE', 'reads are at ONE, as KairosDB’s default'),
  write_consistency_level: unlessText('QUORUM', 'writes are at QUORUM, as KairosDB’s default'),
  protocol_compression: driver,
  request_retry_count: always('reads are tried three times, writes until they succeed'),
  'connections_per_host.local.core': driver,
  'connections_per_host.local.max': driver,
  'connections_per_host.remote.core': driver,
  'connections_per_host.remote.max': driver,
  'max_requests_per_connection.local': driver,
  'max_requests_per_connection.remote': driver,
  max_queue_size: driver,
  'auth.user_name': todo('set CASSANDRA_USERNAME, with CASSANDRA_PASSWORD'),
  'auth.password': secret('CASSANDRA_PASSWORD'),
  use_ssl: {
    to: (value) => {
      if (isTrue(value))
        throw new NotTranslated(
          'TLS to Cassandra is not offered: put a TLS proxy beside this process',
          'todo',
        );
      return {};
    },
  },
  [TAG_INDEX]: { to: tagIndexOf },
  row_time_unit: always('the stored spec of the keyspace decides'),
  row_width: always('the stored spec of the keyspace decides'),
  start_time: always('the cluster that is written is read for all times'),
  end_time: always('the cluster that is written is read for all times'),
};

const known: Readonly<Record<string, Rule>> = {
  'server.type': { to: rolesOf },
  hostname: always('the machine’s own name is taken'),
  host_ip: always('only plugins used it'),
  'server.guid': always('made by itself'),
  'service.telnet': {
    to: (value) => (isOff(value) ? { 'telnet.port': 0 } : {}),
  },
  'service.http': always('the HTTP service is always there'),
  'service.reporter': always(
    'metrics are at /metrics, for Prometheus; none are written into the store',
  ),
  'service.health': always('/api/v1/health is always there'),
  'service.filter': unlessOff('points are not filtered by name: filter where they are sent'),
  'service.oauth': unlessOff('OAuth 1 is not offered: set TIDEMARK_TOKENS and send bearer tokens'),
  'service.datastore': {
    to: (value) => {
      const name = textOf(value);
      if (/CassandraModule$/.test(name) || /H2Module$/.test(name)) return {};
      throw new NotTranslated(
        `there is no datastore ${name}: Cassandra, or the embedded store when no host is named`,
        'todo',
      );
    },
  },
  'service.demo': unlessOff('use `tidemark simulate` or `tidemark demo`'),
  'service.blast': unlessOff('use `tidemark simulate`'),
  'service.rollups': { to: (value) => ({ 'rollups.enabled': !isOff(value) }) },
  'rollups.server_assignment.check_update_delay_millseconds': int('rollups.checkIntervalMs'),
  'jetty.port': {
    to: (value) => {
      if (intOf(value) === 0)
        throw new NotTranslated(
          '0 turned plain HTTP off; here it means any free port: name one',
          'todo',
        );
      return { port: intOf(value) };
    },
  },
  'jetty.address': {
    to: (value) => ({ host: textOf(value) }),
    note: (value) =>
      isLoopback(textOf(value)) ? undefined : 'set TIDEMARK_TOKENS before others can reach it',
  },
  'jetty.socket_idle_timeout': always('connections are kept as long as Node keeps them'),
  'jetty.static_web_root': always('the dashboard is built in'),
  'jetty.show_stacktrace': always('stack traces are in the log only'),
  'jetty.ssl.port': todo('TLS is a proxy’s work: put one before this process'),
  'jetty.ssl.protocols': todo('TLS is a proxy’s work'),
  'jetty.ssl.cipherSuites': todo('TLS is a proxy’s work'),
  'jetty.ssl.keystore.path': todo('TLS is a proxy’s work'),
  'jetty.ssl.keystore.password': todo('TLS is a proxy’s work'),
  'jetty.ssl.truststore.path': todo('TLS is a proxy’s work'),
  'jetty.threads.queue_size': always(
    'one event loop; bodies and queries are bounded by http.* and queries.*',
  ),
  'jetty.threads.min': always('one event loop'),
  'jetty.threads.max': always('one event loop'),
  'jetty.threads.keep_alive_ms': always('one event loop'),
  'jetty.request_logging.enabled': always('requests are counted by route at /metrics'),
  'jetty.request_logging.retain_days': always('requests are counted by route at /metrics'),
  'jetty.request_logging.ignore_paths': always('requests are counted by route at /metrics'),
  'jetty.auth_module_name': todo('JAAS is not offered: set TIDEMARK_TOKENS and send bearer tokens'),
  'jetty.basic_auth.user': todo('basic authentication is not offered: set TIDEMARK_TOKENS'),
  'jetty.basic_auth.password': secret('TIDEMARK_TOKENS'),
  'health.healthyResponseCode': unlessText('204', 'health/check answers 204'),
  'telnetserver.port': int('telnet.port'),
  'telnetserver.address': text('telnet.host'),
  'telnetserver.max_command_size': always('lines may have 1,024 bytes, as KairosDB’s default'),
  'telnetserver.commands': always('all commands are there'),
  'queue_processor.class': queue,
  'queue_processor.batch_size': queue,
  'queue_processor.min_batch_size': queue,
  'queue_processor.min_batch_wait': queue,
  'queue_processor.memory_queue_size': queue,
  'queue_processor.seconds_till_checkpoint': queue,
  'queue_processor.queue_path': todo(
    'the log is in TIDEMARK_DATA; let the old queue drain before you switch',
  ),
  'queue_processor.page_size': queue,
  'ingest_executor.thread_count': queue,
  'filter.list': unlessEmpty('points are not filtered by name'),
  'filter.prefix': unlessEmpty('points are not filtered by name'),
  'filter.regex': unlessEmpty('points are not filtered by name'),
  'datastore.concurrentQueryThreads': int('queries.atOnceMax'),
  'datastore.h2.database_path': todo(
    'the embedded store has a format of its own: copy the points over HTTP',
  ),
  'queries.regex_prefix': {
    to: (value) => {
      if (textOf(value) !== 'regex:')
        throw new NotTranslated('the prefix is regex: and can’t be changed', 'todo');
      return {};
    },
  },
  'queries.return_query_in_response': {
    to: (value) => {
      if (isTrue(value)) throw new NotTranslated('original_query is not answered', 'todo');
      return {};
    },
  },
  'queries.aggregate_stats': always('queries are counted at /metrics'),
  'log.queries.enable': { to: (value) => (isTrue(value) ? {} : { 'queries.slowMs': 0 }) },
  'log.queries.ttl': always('slow queries are lines of the log, not points'),
  'log.queries.greater_than': int('queries.slowMs', 1_000),
  'query_cache.keep_cache_files': {
    to: (value) => (isTrue(value) ? {} : { 'queries.cacheBytesMax': 0 }),
  },
  'query_cache.cache_file_cleaner_schedule': always(
    'the cache is in memory, bounded by queries.cacheBytesMax',
  ),
  'query_cache.cache_dir': always('the cache is in memory'),
  'reporter.schedule': always('metrics are at /metrics'),
  'reporter.ttl': always('metrics are at /metrics'),
  'datapoints.factory.long': always('long, double and string are there'),
  'datapoints.factory.double': always('long, double and string are there'),
  'datapoints.factory.string': {
    to: (value) => {
      if (/Snappy/.test(textOf(value)))
        throw new NotTranslated('strings packed with Snappy are not read', 'todo');
      return {};
    },
  },
  'host_service_manager.check_delay_time_millseconds': always(
    'claims of rollup tasks last a minute',
  ),
  'host_service_manager.inactive_time_seconds': always('claims of rollup tasks last a minute'),
  'datastore.cassandra.datapoint_ttl': unless((value) => intOf(value) === 0, NO_TTL),
  'datastore.cassandra.force_default_datapoint_ttl': forcedTtl,
  'datastore.cassandra.align_datapoint_ttl_with_timestamp': forcedTtl,
  'datastore.cassandra.row_key_cache_size': always(
    'what is indexed is remembered within a bound of its own',
  ),
  'datastore.cassandra.string_cache_size': always(
    'what is indexed is remembered within a bound of its own',
  ),
  'datastore.cassandra.simultaneous_cql_queries': driver,
  'datastore.cassandra.query_reader_threads': driver,
  'datastore.cassandra.query_limit': int('queries.pointsMax'),
  'datastore.cassandra.query_time_limit_sec': int('queries.timeoutMs', 1_000),
  'datastore.cassandra.start_async': always('it starts without Cassandra and keeps trying'),
  'datastore.cassandra.create_schema': always('`tidemark setup` makes the schema'),
  'datastore.cassandra.connection_timeout': driver,
  'datastore.cassandra.read_timeout': driver,
  'datastore.cassandra.host_list': todo('Thrift is gone: name CQL hosts in cassandra.hosts'),
};

const byPrefix: readonly (readonly [prefix: string, rule: Rule])[] = [
  [
    'datastore.cassandra.table_create_with.',
    always('only for new tables: `tidemark setup` makes them'),
  ],
  ['datastore.cassandra.read_clusters_not', always('KairosDB does not read it either')],
  [
    'datastore.cassandra.read_clusters',
    { to: (value) => ({ 'cassandra.readClusters': clustersOf(value) }) },
  ],
  [
    'datastore.cassandra.meta_cluster.',
    todo('metadata and rollup tasks are in the keyspace that is written: copy service_index over'),
  ],
  ['datastore.cassandra.auth.', todo('set CASSANDRA_USERNAME and CASSANDRA_PASSWORD')],
  ['datastore.cassandra.hector.', todo('Thrift is gone: name CQL hosts in cassandra.hosts')],
  ['datastore.remote.', todo('forwarding to another KairosDB is not offered')],
  ['service_folder.', todo('plugins are not loaded')],
  ['service.', unlessOff('plugins are not loaded')],
  ['datapoints.factory.', todo('only long, double and string are there')],
  ['eventbus.filter.priority.', always('there are no filters')],
  ['metrics.custom_tags.', todo('add labels where Prometheus scrapes')],
  ['qos.', todo('see http.requestsPerMinuteMax and queries.atOnceMax')],
  ['oauth.consumer.', secret('TIDEMARK_TOKENS')],
  ['carbon.', todo('Graphite is not taken: send to /api/v1/datapoints or telnet')],
  ['demo.', always('only service.demo read it')],
  ['blast.', always('only service.blast read it')],
];

/** undefined: KairosDB knows no such key either. */
export function ruleOf(key: string): Rule | undefined {
  const own = key.replace(/^datastore\.cassandra\.(?:write_cluster\.)?/, '');
  if (own !== key && Object.hasOwn(cluster, own)) return cluster[own];
  if (own !== key && own.startsWith(`${TAG_INDEX}.`)) return cluster[TAG_INDEX];
  if (Object.hasOwn(known, key)) return known[key];
  return byPrefix.find(([prefix]) => key.startsWith(prefix))?.[1];
}

/** Keys to which a mistyped one may be near. */
export const knownKeys: readonly string[] = [
  ...Object.keys(known),
  ...Object.keys(cluster).map((key) => `datastore.cassandra.write_cluster.${key}`),
];

function isOff(value: ConfigValue): boolean {
  return value === '' || value === '<disabled>';
}
