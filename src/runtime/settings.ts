/**
 * Every setting of the program. Environment names are part of the contract; the manual and the sample file
 * are generated from this schema.
 */
import type { Static } from 'typebox';
import { copySettings, migrateSettings } from './job-settings.ts';
import {
  cellCacheSettings,
  historySettings,
  querySettings,
  rollupSettings,
} from './query-settings.ts';
import {
  choice,
  choices,
  flag,
  list,
  optionalChoice,
  optionalSecret,
  optionalText,
  secrets,
  section,
  text,
  whole,
} from './setting.ts';

export const roles = ['engine', 'sinks', 'ingest', 'query', 'api', 'agent'] as const;
export type Role = (typeof roles)[number];

const kafkaSettings = section({
  brokers: list({
    description: 'Kafka bootstrap addresses, host:port. Empty: the embedded log is used.',
    environment: 'KAFKA_BROKERS',
    default: [],
  }),
  sasl: section({
    mechanism: optionalChoice(['plain', 'scram-sha-256', 'scram-sha-512'], {
      description: 'How to sign in to Kafka; absent: no sign-in.',
      environment: 'KAFKA_SASL_MECHANISM',
    }),
    username: optionalText({
      description: 'User name for Kafka.',
      environment: 'KAFKA_SASL_USERNAME',
    }),
    password: optionalSecret({
      description: 'Password for Kafka.',
      environment: 'KAFKA_SASL_PASSWORD',
    }),
  }),
  tls: section({
    enabled: flag({
      description: 'Speak TLS to Kafka.',
      environment: 'KAFKA_TLS',
      default: false,
    }),
    ca: optionalText({
      description: 'PEM file of the certificate authority that signed the brokers’ certificates.',
      environment: 'KAFKA_TLS_CA',
    }),
  }),
  sessionTimeoutMs: whole({
    description:
      'How long a process that has died keeps its partitions before others get them. Kafka itself refuses less than 6 s, unless told otherwise.',
    environment: 'KAFKA_SESSION_TIMEOUT_MS',
    unit: 'ms',
    default: 10_000,
    minimum: 1_000,
    maximum: 1_800_000,
  }),
});

const influxSettings = section({
  url: optionalText({
    description: 'InfluxDB 2 address; absent: no points go to InfluxDB.',
    environment: 'INFLUX_URL',
  }),
  org: optionalText({
    description: 'InfluxDB organisation.',
    environment: 'INFLUX_ORG',
  }),
  token: optionalSecret({
    description: 'InfluxDB token that may write (and, for setup, make) the buckets.',
    environment: 'INFLUX_TOKEN',
  }),
  batchSize: whole({
    description: 'Points in one write.',
    environment: 'INFLUX_BATCH_SIZE',
    unit: 'points',
    default: 5_000,
    minimum: 1,
    maximum: 100_000,
  }),
  flushIntervalMs: whole({
    description: 'A batch that is not full is written after this long.',
    environment: 'INFLUX_FLUSH_INTERVAL_MS',
    unit: 'ms',
    default: 100,
    minimum: 1,
    maximum: 60_000,
  }),
  workers: whole({
    description: 'Writes in flight at once, per sink.',
    environment: 'INFLUX_NUM_WORKERS',
    unit: 'writes',
    default: 4,
    minimum: 1,
    maximum: 64,
  }),
  compression: flag({
    description: 'Send writes gzipped.',
    environment: 'INFLUX_ENABLE_COMPRESSION',
    default: true,
  }),
});

const cassandraSettings = section({
  hosts: list({
    description: 'Cassandra contact points, host or host:port. Empty: the embedded store is used.',
    environment: 'CASSANDRA_HOSTS',
    default: [],
  }),
  datacenter: text({
    description: 'Local data centre of the Cassandra driver.',
    environment: 'CASSANDRA_DC',
    default: 'datacenter1',
  }),
  keyspace: text({
    description: 'Keyspace with KairosDB’s schema; it may be shared with a Java KairosDB.',
    environment: 'CASSANDRA_KEYSPACE',
    default: 'kairosdb',
  }),
  username: optionalText({
    description: 'User name for Cassandra.',
    environment: 'CASSANDRA_USERNAME',
  }),
  password: optionalSecret({
    description: 'Password for Cassandra.',
    environment: 'CASSANDRA_PASSWORD',
  }),
  readClusters: list({
    description:
      'Older clusters that queries read too, each as host[:port][;host…]/keyspace?datacenter=dc1&from=2020-01-01T00:00Z&to=2024-01-01T00:00Z; what follows the ? may be left out. The sign-in is the same.',
    environment: 'CASSANDRA_READ_CLUSTERS',
    default: [],
  }),
  tagIndex: list({
    description:
      'Metrics whose series can be found by tag without reading all of the metric’s, as `metric` for all tags or `metric|tag` for one; `*` stands for all metrics. KairosDB’s tag_indexed_row_key_lookup_metrics, and the same on every server of a keyspace.',
    environment: 'CASSANDRA_TAG_INDEX',
    default: [],
  }),
  cellCache: cellCacheSettings,
});

const sinkSettings = section({
  backoffBaseMs: whole({
    description:
      'First wait after a failed write; it doubles with each further one. 0: no waiting.',
    environment: 'SINK_BACKOFF_BASE_MS',
    unit: 'ms',
    default: 5_000,
    minimum: 0,
    maximum: 3_600_000,
  }),
  backoffCapMs: whole({
    description: 'Longest wait between two attempts.',
    environment: 'SINK_BACKOFF_CAP_MS',
    unit: 'ms',
    default: 300_000,
    minimum: 0,
    maximum: 86_400_000,
  }),
  attempts: whole({
    description:
      'Attempts at one batch before the sink stops until its next health check. 0: without limit.',
    environment: 'SINK_ATTEMPTS',
    unit: 'attempts',
    default: 0,
    minimum: 0,
    maximum: 1_000_000,
  }),
  healthCheckIntervalMs: whole({
    description: 'How often a quiet sink is probed and reconnected. 0: never.',
    environment: 'SINK_HEALTH_CHECK_INTERVAL_MS',
    unit: 'ms',
    default: 14_400_000,
    minimum: 0,
    maximum: 604_800_000,
  }),
  backlogPointsMax: whole({
    description: 'Records that may wait for one sink. 0: as many as the topic keeps.',
    environment: 'SINK_BACKLOG_POINTS_MAX',
    unit: 'records',
    default: 0,
    minimum: 0,
    maximum: Number.MAX_SAFE_INTEGER,
  }),
  backlogBytesMax: whole({
    description: 'Bytes that may wait for one sink. 0: as many as the topic keeps.',
    environment: 'SINK_BACKLOG_BYTES_MAX',
    unit: 'bytes',
    default: 0,
    minimum: 0,
    maximum: Number.MAX_SAFE_INTEGER,
  }),
  backlogAgeMaxMs: whole({
    description: 'How long a record may wait for one sink. 0: as long as the topic keeps it.',
    environment: 'SINK_BACKLOG_AGE_MAX_MS',
    unit: 'ms',
    default: 0,
    minimum: 0,
    maximum: Number.MAX_SAFE_INTEGER,
  }),
  backlogPolicy: choice(['block', 'drop-oldest'], {
    description:
      'What happens at a limit of a backlog. block: publishing to what the sink reads is refused (429; KairosDB’s points 503) until it has caught up. drop-oldest: the oldest records are given up, and counted.',
    environment: 'SINK_BACKLOG_POLICY',
    default: 'block',
  }),
  backlogCheckIntervalMs: whole({
    description: 'How often backlogs are held against their limits.',
    environment: 'SINK_BACKLOG_CHECK_INTERVAL_MS',
    unit: 'ms',
    default: 5_000,
    minimum: 100,
    maximum: 3_600_000,
  }),
});

const agentSettings = section({
  host: optionalText({
    description: 'Name of this host in its readings. Absent: the system’s own.',
    environment: 'TIDEMARK_AGENT_HOST',
  }),
  region: text({
    description: 'Region in this host’s readings.',
    environment: 'TIDEMARK_AGENT_REGION',
    default: 'local',
  }),
  environment: text({
    description: 'Environment in this host’s readings, such as production or staging.',
    environment: 'TIDEMARK_AGENT_ENVIRONMENT',
    default: 'development',
  }),
  service: optionalText({
    description: 'Service in this host’s readings.',
    environment: 'TIDEMARK_AGENT_SERVICE',
  }),
  intervalMs: whole({
    description: 'Time between two readings of this host.',
    environment: 'TIDEMARK_AGENT_INTERVAL_MS',
    unit: 'ms',
    default: 5_000,
    minimum: 100,
    maximum: 3_600_000,
  }),
  outboxBytesMax: whole({
    description:
      'Bytes on disk for readings that can’t be handed over; beyond it the oldest are given up and counted.',
    environment: 'TIDEMARK_AGENT_OUTBOX_BYTES_MAX',
    unit: 'bytes',
    default: 256 * 1_024 * 1_024,
    minimum: 1_024 * 1_024,
    maximum: 1_024 ** 4,
  }),
  outboxHours: whole({
    description: 'Readings that wait longer are given up and counted.',
    environment: 'TIDEMARK_AGENT_OUTBOX_HOURS',
    unit: 'h',
    default: 168,
    minimum: 1,
    maximum: 876_000,
  }),
});

const alertSettings = section({
  file: optionalText({
    description:
      'JSON file with rules, channels and how notifications are grouped and repeated. Absent: the rules that come with Tidemark, told in the log.',
    environment: 'TIDEMARK_ALERTS_FILE',
  }),
  slackUrl: optionalSecret({
    description: 'Slack incoming webhook that all alerts go to, besides the channels of the file.',
    environment: 'TIDEMARK_ALERTS_SLACK_URL',
  }),
  webhookUrl: optionalSecret({
    description: 'Address that all alerts are posted to as JSON, besides the channels of the file.',
    environment: 'TIDEMARK_ALERTS_WEBHOOK_URL',
  }),
  webhookSecret: optionalSecret({
    description: 'Signs what is posted to that address (HMAC-SHA256).',
    environment: 'TIDEMARK_ALERTS_WEBHOOK_SECRET',
  }),
});

export const settingsSchema = section({
  data: text({
    description: 'Directory of the embedded log and store.',
    environment: 'TIDEMARK_DATA',
    default: './.tidemark',
  }),
  host: text({
    description: 'Address the HTTP service listens on. Set tokens before opening it to others.',
    environment: 'TIDEMARK_HOST',
    default: '127.0.0.1',
  }),
  port: whole({
    description: 'Port of the HTTP service. 0: a free one.',
    environment: 'TIDEMARK_PORT',
    default: 8_080,
    minimum: 0,
    maximum: 65_535,
  }),
  tokens: secrets({
    description:
      'Bearer tokens that are let in. Empty: everybody is. /health and /ready never ask.',
    environment: 'TIDEMARK_TOKENS',
  }),
  roles: choices(roles, {
    description: 'What this process does.',
    environment: 'TIDEMARK_ROLES',
    default: ['engine', 'sinks', 'ingest', 'query', 'api'],
  }),
  partitions: whole({
    description: 'Partitions of topics that the embedded log makes.',
    environment: 'TIDEMARK_PARTITIONS',
    unit: 'partitions',
    default: 1,
    minimum: 1,
    maximum: 1_024,
  }),
  retentionHours: whole({
    description:
      'How long the embedded log keeps records; a sink that is away for longer loses what it missed. 0: for ever.',
    environment: 'TIDEMARK_RETENTION_HOURS',
    unit: 'h',
    default: 168,
    minimum: 0,
    maximum: 876_000,
  }),
  logLevel: choice(['debug', 'info', 'warn', 'error', 'silent'], {
    description: 'Least weight of a log line that is written.',
    environment: 'LOG_LEVEL',
    default: 'info',
  }),
  epochs: section({
    intervalMs: whole({
      description: 'How often a task commits its outputs, state and offsets.',
      environment: 'TIDEMARK_EPOCH_INTERVAL_MS',
      unit: 'ms',
      default: 1_000,
      minimum: 10,
      maximum: 60_000,
    }),
  }),
  http: section({
    bodyBytesMax: whole({
      description: 'Largest body of a request, unpacked; larger ones get 413.',
      environment: 'TIDEMARK_BODY_BYTES_MAX',
      unit: 'bytes',
      default: 16 * 1_024 * 1_024,
      minimum: 1_024,
      maximum: 1_024 * 1_024 * 1_024,
    }),
    corsOrigins: list({
      description: 'Web origins whose pages may call the service; * lets all. Empty: none.',
      environment: 'TIDEMARK_CORS_ORIGINS',
      default: [],
    }),
    requestsPerMinuteMax: whole({
      description:
        'Requests per minute and client address; more get 429, all but probes of health. 0: without limit.',
      environment: 'TIDEMARK_REQUESTS_PER_MINUTE_MAX',
      unit: 'requests',
      default: 0,
      minimum: 0,
      maximum: 100_000_000,
    }),
  }),
  telnet: section({
    port: whole({
      description:
        'Port of KairosDB’s telnet interface, where role ingest runs. 0: off; a taken port is a warning.',
      environment: 'TIDEMARK_TELNET_PORT',
      default: 4_242,
      minimum: 0,
      maximum: 65_535,
    }),
    host: text({
      description: 'Address of the telnet interface. It asks nobody for a token.',
      environment: 'TIDEMARK_TELNET_HOST',
      default: '127.0.0.1',
    }),
  }),
  agent: agentSettings,
  kafka: kafkaSettings,
  influx: influxSettings,
  cassandra: cassandraSettings,
  sinks: sinkSettings,
  history: historySettings,
  queries: querySettings,
  rollups: rollupSettings,
  alerts: alertSettings,
  copy: copySettings,
  migrate: migrateSettings,
});

type DeepReadonly<T> = T extends (...parameters: never) => unknown
  ? T
  : T extends { reveal(): string }
    ? T
    : T extends object
      ? { readonly [K in keyof T]: DeepReadonly<T[K]> }
      : T;

/** All settings, checked; absent optional ones are left out. */
export type Settings = DeepReadonly<Static<typeof settingsSchema>>;
