// biome-ignore-all lint/suspicious/noTemplateCurlyInString: they are HOCON's substitutions.
/** The file is condensed from the one that KairosDB 1.3.0 ships: its forms of keys and values, with values of our own. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadSettings } from '../../runtime/index.ts';
import { convertKairosConfig } from './convert.ts';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'tidemark-kairosdb-config-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

function convert(text: string, name = 'kairosdb.conf', environment = {}) {
  const file = join(directory, name);
  writeFileSync(file, text);
  return convertKairosConfig(file, environment);
}
/** What `tidemark config check` would say. */
const load = (config: object) => {
  const file = join(directory, 'tidemark.config.json');
  writeFileSync(file, JSON.stringify(config));
  return loadSettings({ configFile: file, environment: {} }).settings;
};

describe('a kairosdb.conf', () => {
  const condensed = `
# comment
kairosdb: {
	service.telnet: "org.kairosdb.core.telnet.TelnetServerModule"
	telnetserver: { port: 4343, address: "0.0.0.0"
		max_command_size: 1024 }
	service.http = org.kairosdb.core.http.WebServletModule
	jetty {
		port: 8081
		address: "0.0.0.0"
		socket_idle_timeout: 120000 // ms
	}
	service.datastore: "org.kairosdb.datastore.cassandra.CassandraModule"
	service.rollups: "org.kairosdb.rollup.RollUpModule"
	rollups.server_assignment.check_update_delay_millseconds: 15000
	datastore.concurrentQueryThreads: 7
	datastore.cassandra: {
		table_create_with: { data_points: "WITH COMPACT STORAGE", row_keys: "" }
		datapoint_ttl: 86400
		query_limit: 1000000
		query_time_limit_sec: 30
		write_cluster: {
			keyspace: "metrics"
			//cql_host_list: ["kairos01", "kairos02"]
			cql_host_list: ["c1", "c2:9043"]
			local_dc_name: "dc1"
			write_consistency_level: "QUORUM"
			connections_per_host: { local.core: 5, local.max: 100 }
			auth.user_name: admin
			auth.password: "hunter2"
			use_ssl: false
			tag_indexed_row_key_lookup_metrics: []
		}
		read_clusters_not: [ { name: "read_cluster", cql_host_list: ["localhost"] } ]
	}
	query_cache.keep_cache_files: false
	log.queries: { enable: true, ttl: 86400, greater_than: 60 }
	health.healthyResponseCode: 204
	jetty.prot: 99
}
kairosdb.queries.regex_prefix = "regex:"
`;

  test('becomes settings that are right', () => {
    const { config } = convert(condensed);
    expect(config).toEqual({
      telnet: { port: 4343, host: '0.0.0.0' },
      port: 8081,
      host: '0.0.0.0',
      rollups: { enabled: true, checkIntervalMs: 15_000 },
      queries: {
        atOnceMax: 7,
        pointsMax: 1_000_000,
        timeoutMs: 30_000,
        cacheBytesMax: 0,
        slowMs: 60_000,
      },
      cassandra: { keyspace: 'metrics', hosts: ['c1', 'c2:9043'], datacenter: 'dc1' },
    });
    expect(load(config).cassandra.hosts).toEqual(['c1', 'c2:9043']);
  });

  test('is told about key by key and line by line, without its secrets', () => {
    const { findings } = convert(condensed);
    const told = findings.map(({ line, key, kind }) => `${line} ${key.slice(9)} ${kind}`);
    expect(told).toEqual([
      '10 jetty.address note',
      '19 datastore.cassandra.datapoint_ttl todo',
      '29 datastore.cassandra.write_cluster.auth.user_name todo',
      '30 datastore.cassandra.write_cluster.auth.password todo',
      '39 jetty.prot unknown',
    ]);
    expect(JSON.stringify(findings)).not.toContain('hunter2');
    expect(findings.at(-1)?.message).toContain('did you mean kairosdb.jetty.port?');
  });

  test('says nothing of what is off, or as it is here anyway', () => {
    const { config, findings } = convert(`kairosdb {
      jetty.address: "127.0.0.1"
      service: { filter: "", carbon: "<disabled>" }
      filter: { list: [], prefix: [], regex: [] }
      demo.metric_name: "demo_data"
      health.healthyResponseCode: 204
      datastore.cassandra.force_default_datapoint_ttl: false
      datastore.cassandra.write_cluster: {
        cql_host_list: ["c1"]
        replication: "{'class': 'SimpleStrategy','replication_factor' : 1}"
        read_consistency_level: "ONE"
      }
    }`);
    expect(findings).toEqual([]);
    load(config);
    const other = convert(`kairosdb {
      service.filter: "org.kairosdb.filter.FilterModule"
      filter.list: ["a"]
      health.healthyResponseCode: 200
      datastore.cassandra.align_datapoint_ttl_with_timestamp: true
      datastore.cassandra.write_cluster: { use_ssl: true, read_consistency_level: "QUORUM" }
    }`);
    expect(other.findings.map(({ kind }) => kind)).toEqual(Array(6).fill('todo'));
  });

  test('with values that are none here either has settings that are right, and says which', () => {
    const { config, findings } = convert(`kairosdb {
      jetty: { port: 99999, address: "" }
      telnetserver.port: -1
      datastore.concurrentQueryThreads: 0
      log.queries.greater_than: 999999999
    }`);
    expect(config).toEqual({ rollups: { enabled: false } });
    expect(findings.map(({ key, kind, message }) => `${key.slice(9)} ${kind}: ${message}`)).toEqual(
      [
        'jetty.port wrong: port: expected a whole number from 0 to 65535, got 99999',
        'jetty.address wrong: host: expected a text, got ""',
        'telnetserver.port wrong: telnet.port: expected a whole number from 0 to 65535, got -1',
        'datastore.concurrentQueryThreads wrong: queries.atOnceMax: expected a whole number from 1 to 10000, got 0',
        'log.queries.greater_than wrong: queries.slowMs: expected a whole number from 0 to 86400000, got 999999999000',
      ],
    );
  });

  test('with Cassandra and no host means the one beside it, never the embedded store', () => {
    const { config, findings } = convert(
      'kairosdb.service.datastore: "org.kairosdb.datastore.cassandra.CassandraModule"',
    );
    expect(config).toMatchObject({ cassandra: { hosts: ['localhost'] } });
    expect(findings.map(({ line, kind }) => [line, kind])).toEqual([[1, 'note']]);
  });

  test('with older clusters and indexed tags keeps both', () => {
    const { config, findings } = convert(`kairosdb.datastore.cassandra {
      write_cluster: {
        cql_host_list: ["new"]
        tag_indexed_row_key_lookup_metrics: { "cpu.load": ["host", "dc"], disk: [], net: ["*"] }
      }
      read_clusters: [
        { name: "old", keyspace: "k1", cql_host_list: ["o1", "o2:9043"], local_dc_name: "dc1"
          start_time: "2019-01-01T00:00+0000", end_time: "2020-01-01T00:00+0100" },
        { cql_host_list: ["older"] }
      ]
    }`);
    expect(findings).toEqual([]);
    expect(config).toMatchObject({
      cassandra: {
        hosts: ['new'],
        tagIndex: ['cpu.load|host', 'cpu.load|dc', 'disk', 'net'],
        readClusters: [
          'o1;o2:9043/k1?datacenter=dc1&from=2019-01-01T00:00Z&to=2019-12-31T23:00Z',
          'older/kairosdb',
        ],
      },
    });
    expect(load(config).cassandra.readClusters).toHaveLength(2);
    const listed = convert(
      'kairosdb.datastore.cassandra.write_cluster.tag_indexed_row_key_lookup_metrics: ["a", "b"]',
    );
    expect(listed.config).toMatchObject({ cassandra: { tagIndex: ['a', 'b'] } });
    const wrong = convert(
      'kairosdb.datastore.cassandra.read_clusters: [{ start_time: "yesterday" }]',
    );
    expect(wrong.findings.map(({ kind, message }) => `${kind}: ${message}`)).toEqual([
      'wrong: expected a time such as 2020-01-01T00:00+0000, got yesterday',
    ]);
  });

  test('with H2, or read-only, becomes the embedded store and fewer roles', () => {
    const { config } = convert(`kairosdb {
      service.datastore: "org.kairosdb.datastore.h2.H2Module"
      datastore.cassandra.write_cluster.cql_host_list: ["localhost"]
      server.type: "QUERY"
      service.telnet: "<disabled>"
    }`);
    expect(config).toEqual({
      roles: ['query'],
      telnet: { port: 0 },
      rollups: { enabled: false },
    });
  });

  test('may include others, substitute, add to lists, and quote', () => {
    writeFileSync(join(directory, 'hosts.conf'), 'hosts = ["a"]\nport = 81');
    const { config } = convert(
      [
        'include "hosts.conf"',
        'include "absent.conf"',
        'base = 80',
        'kairosdb."jetty".port = ${base}${?SUFFIX}',
        'kairosdb.datastore.cassandra.write_cluster.cql_host_list = ${hosts}',
        'kairosdb.datastore.cassandra.write_cluster.cql_host_list += "b"',
        'kairosdb.datastore.cassandra.write_cluster.keyspace = """k"""s',
        'kairosdb.jetty.address = ${?NOWHERE}',
        'kairosdb.datastore.concurrentQueryThreads = 5',
        'kairosdb.datastore.concurrentQueryThreads = ${?THREADS}',
      ].join('\n'),
      'kairosdb.conf',
      { SUFFIX: '99', THREADS: '9' },
    );
    expect(config).toMatchObject({
      port: 8_099,
      queries: { atOnceMax: 9 },
      cassandra: { keyspace: 'ks', hosts: ['a', 'b'] },
    });
    expect(config).not.toHaveProperty('host');
  });

  test.each([
    ['kairosdb {\n a: 1', 'line 2: a } is missing'],
    ['a: 1\n}', 'line 2: a } too many'],
    ['a: "x\n', 'line 1: a " is not closed'],
    ['\n\na: [1, 2', 'line 3: a ] is missing'],
    ['a\n', 'line 1: a has no value'],
    ['a: ${b}', 'line 1: ${b} is set nowhere'],
    ['a: ${b}\nb: ${a}', 'leads back to itself'],
  ])('%j is refused with its line', (text, message) => {
    expect(() => convert(text)).toThrow(message);
  });
});

describe('a kairosdb.properties of 1.2', () => {
  test('becomes the same settings', () => {
    const { config, findings } = convert(
      [
        '# comment',
        '! another',
        'kairosdb.jetty.port=8082',
        'kairosdb.datastore.cassandra.cql_host_list=a,\\',
        '   b:9043',
        'kairosdb.datastore.cassandra.keyspace : kairos\\u0064b',
        'kairosdb.datastore.cassandra.local_datacenter=',
        'kairosdb.service.datastore=org.kairosdb.datastore.cassandra.CassandraModule',
        'kairosdb.jetty.basic_auth.password=hunter2',
        'kairosdb.service.carbon=org.kairosdb.core.carbon.CarbonServerModule',
        'kairosdb.jetty.port.oops=1',
        'kairosdb.datastore.concurrentQueryThreads=many',
      ].join('\n'),
      'kairosdb.properties',
    );
    expect(config).toEqual({
      port: 8_082,
      cassandra: { hosts: ['a', 'b:9043'], keyspace: 'kairosdb' },
      rollups: { enabled: false },
    });
    load(config);
    expect(findings.map(({ line, kind }) => [line, kind])).toEqual([
      [9, 'todo'],
      [10, 'todo'],
      [11, 'unknown'],
      [12, 'wrong'],
    ]);
    expect(JSON.stringify(findings)).not.toContain('hunter2');
  });
});
