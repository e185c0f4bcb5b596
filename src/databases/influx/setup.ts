/**
 * Makes the buckets a configuration needs and mends their retention; may be run again at any time. It needs
 * a token that may read the organisation and write buckets; sinks and readers do with less.
 */
import { FatalError } from '../../model/index.ts';
import type { InfluxConfig } from './config.ts';
import { errorOf, type InfluxReply, type InfluxRequest, request } from './http.ts';
import type { BucketSpec } from './schema.ts';

export interface BucketReport {
  readonly bucket: string;
  readonly done: 'created' | 'kept' | 'changed';
  /** For people: `retention 24 h → 7 d`. */
  readonly detail: string;
}

interface Bucket {
  readonly id: string;
  readonly name: string;
  readonly retentionRules: readonly {
    readonly everySeconds: number;
    readonly shardGroupDurationSeconds?: number;
  }[];
}

interface RetentionRule {
  readonly type: 'expire';
  readonly everySeconds: number;
  shardGroupDurationSeconds?: number;
}

/**
 * Creates missing buckets and changes those whose retention or shards differ, one after another; says what
 * it did, in the order given. Points already stored keep their shards.
 * Rejects with FatalError (rights, organisation, BUCKET_INVALID) or RetriableError (server away); the
 * buckets before the failure are done, and running it again does the rest.
 */
export async function setupBuckets(
  config: InfluxConfig,
  buckets: readonly BucketSpec[],
  signal?: AbortSignal,
): Promise<readonly BucketReport[]> {
  for (const bucket of buckets) validate(bucket);
  const orgID = await organisationId(config, signal);
  const reports: BucketReport[] = [];
  for (const wanted of buckets) reports.push(await setupBucket(config, { orgID, wanted, signal }));
  return reports;
}

async function setupBucket(
  config: InfluxConfig,
  options: { orgID: string; wanted: BucketSpec; signal: AbortSignal | undefined },
): Promise<BucketReport> {
  const { orgID, wanted, signal } = options;
  const found = await findBucket(config, options);
  const rule = retentionRule(wanted);
  const bucket = wanted.name;
  if (!found) {
    await call(config, `create bucket "${bucket}"`, {
      method: 'POST',
      path: '/api/v2/buckets',
      body: JSON.stringify({ orgID, name: bucket, retentionRules: [rule] }),
      signal,
    });
    return { bucket, done: 'created', detail: `retention ${inWords(rule.everySeconds)}` };
  }
  const changes = differences(found, rule);
  const shardSeconds = found.retentionRules[0]?.shardGroupDurationSeconds ?? 0;
  if (rule.everySeconds > 0 && wanted.shardMs === undefined && shardSeconds > rule.everySeconds) {
    // Kept as they are, shards longer than the new retention would be a 500.
    rule.shardGroupDurationSeconds = defaultShardSeconds(rule.everySeconds);
  }
  if (changes.length === 0) {
    return { bucket, done: 'kept', detail: `retention ${inWords(rule.everySeconds)}` };
  }
  await call(config, `change bucket "${bucket}"`, {
    method: 'PATCH',
    path: `/api/v2/buckets/${found.id}`,
    body: JSON.stringify({ retentionRules: [rule] }),
    signal,
  });
  return { bucket, done: 'changed', detail: changes.join(', ') };
}

/** How long a bucket keeps points, ms; 0 = for ever. A token that may read the bucket is enough. */
export async function bucketRetentionMs(
  config: InfluxConfig,
  bucket: string,
  signal?: AbortSignal,
): Promise<number> {
  const { json } = await call(config, `look up bucket "${bucket}"`, {
    method: 'GET',
    path: '/api/v2/buckets',
    query: { name: bucket },
    signal,
  });
  const found = ((json as { buckets?: Bucket[] }).buckets ?? []).find(
    ({ name }) => name === bucket,
  );
  if (found !== undefined) return (found.retentionRules[0]?.everySeconds ?? 0) * 1_000;
  throw new FatalError(`the token sees no bucket "${bucket}"; run \`tidemark setup\``, {
    code: 'INFLUX_NOT_FOUND',
    context: { bucket },
  });
}

/** Rejects with FatalError INFLUX_NOT_FOUND when the token sees no such organisation. */
export async function organisationId(config: InfluxConfig, signal?: AbortSignal): Promise<string> {
  const reply = await call(config, `look up organisation "${config.org}"`, {
    method: 'GET',
    path: '/api/v2/orgs',
    query: { limit: '100' },
    signal,
  });
  const { orgs = [] } = reply.json as { orgs?: { id: string; name: string }[] };
  const org = orgs.find(({ id, name }) => name === config.org || id === config.org);
  if (org) return org.id;
  throw new FatalError(
    `the token sees no organisation "${config.org}"; mend INFLUX_ORG or use a token of that organisation`,
    { code: 'INFLUX_NOT_FOUND', context: { org: config.org } },
  );
}

async function findBucket(
  config: InfluxConfig,
  { orgID, wanted, signal }: { orgID: string; wanted: BucketSpec; signal: AbortSignal | undefined },
): Promise<Bucket | undefined> {
  const what = `look up bucket "${wanted.name}"`;
  const reply = await request(config, {
    method: 'GET',
    path: '/api/v2/buckets',
    query: { orgID, name: wanted.name },
    signal,
  });
  if (reply.status === 404 && reply.message.includes(wanted.name)) return undefined;
  if (reply.status !== 200) throw errorOf(config, reply, { what });
  const { buckets = [] } = reply.json as { buckets?: Bucket[] };
  return buckets.find(({ name }) => name === wanted.name);
}

async function call(
  config: InfluxConfig,
  what: string,
  wanted: InfluxRequest,
): Promise<InfluxReply> {
  const headers = wanted.body === undefined ? {} : { 'content-type': 'application/json' };
  const reply = await request(config, { ...wanted, headers });
  if (reply.status !== 200 && reply.status !== 201) throw errorOf(config, reply, { what });
  return reply;
}

/** An empty list of rules leaves a bucket as it is (2.7.12), so "for ever" is said as 0 seconds. */
function retentionRule({ retentionMs, shardMs }: BucketSpec): RetentionRule {
  return {
    type: 'expire',
    everySeconds: retentionMs / 1_000,
    ...(shardMs === undefined ? {} : { shardGroupDurationSeconds: shardMs / 1_000 }),
  };
}

/** The server's own choice for a new bucket (spec/influxdb.md §5). */
function defaultShardSeconds(everySeconds: number): number {
  if (everySeconds < 2 * 86_400) return 3_600;
  return everySeconds < 180 * 86_400 ? 86_400 : 7 * 86_400;
}

function differences(found: Bucket, rule: RetentionRule): string[] {
  const has = found.retentionRules[0];
  const changes: string[] = [];
  const everySeconds = has?.everySeconds ?? 0;
  if (everySeconds !== rule.everySeconds) {
    changes.push(`retention ${inWords(everySeconds)} → ${inWords(rule.everySeconds)}`);
  }
  const shardSeconds = has?.shardGroupDurationSeconds;
  const wantedSeconds = rule.shardGroupDurationSeconds;
  if (wantedSeconds !== undefined && shardSeconds !== wantedSeconds) {
    changes.push(`shards ${inWords(shardSeconds ?? 0)} → ${inWords(wantedSeconds)}`);
  }
  return changes;
}

/** The server answers these with a bare 500 (spec/influxdb.md §5), so they are told apart here. */
function validate({ name, retentionMs, shardMs }: BucketSpec): void {
  const wrong = (why: string) =>
    new FatalError(`bucket "${name}": ${why}`, { code: 'BUCKET_INVALID', context: { name } });
  if (name === '' || name.startsWith('_')) throw wrong('a name must not be empty or begin with _');
  for (const ms of [retentionMs, shardMs ?? 0]) {
    if (!Number.isInteger(ms / 1_000) || ms < 0)
      throw wrong(`${ms} ms is no whole number of seconds`);
  }
  if (retentionMs > 0 && retentionMs < 3_600_000) throw wrong('retention must be at least 1 h');
  if (shardMs !== undefined && shardMs < 3_600_000) throw wrong('shards must span at least 1 h');
  if (shardMs !== undefined && retentionMs > 0 && shardMs > retentionMs) {
    throw wrong('shards must not be longer than the retention');
  }
}

function inWords(seconds: number): string {
  if (seconds === 0) return 'for ever';
  if (seconds % 86_400 === 0 && seconds > 86_400) return `${seconds / 86_400} d`;
  return seconds % 3_600 === 0 ? `${seconds / 3_600} h` : `${seconds} s`;
}
