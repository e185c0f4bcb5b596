/** A bucket of one's own on the real InfluxDB, and raw access to it beside the code under test. */
import { randomUUID } from 'node:crypto';
import { type InfluxConfig, influxConfig, setupBuckets } from '../../src/databases/influx/index.ts';

export const INFLUX_NAMES = ['INFLUX_URL', 'INFLUX_ORG', 'INFLUX_TOKEN'] as const;

export function influxFromEnvironment(): InfluxConfig {
  const { INFLUX_URL = '', INFLUX_ORG = '', INFLUX_TOKEN = '' } = process.env;
  return influxConfig({ url: INFLUX_URL, org: INFLUX_ORG, token: INFLUX_TOKEN });
}

export function uniqueName(what: string): string {
  return `test-${what}-${randomUUID()}`;
}

/** Plain fetch with the token; asserts nothing. */
export async function influxCall(
  config: InfluxConfig,
  path: string,
  init: { method?: string; body?: string } = {},
): Promise<{ status: number; text: string; json: unknown }> {
  const reply = await fetch(`${config.url}${path}`, {
    ...init,
    headers: { authorization: `Token ${config.token}`, 'content-type': 'application/json' },
  });
  const text = await reply.text();
  const isJson = (reply.headers.get('content-type') ?? '').includes('json');
  return { status: reply.status, text, json: isJson ? JSON.parse(text) : undefined };
}

export async function findBucket(config: InfluxConfig, name: string) {
  const { json } = await influxCall(config, `/api/v2/buckets?name=${encodeURIComponent(name)}`);
  const { buckets = [] } = (json ?? {}) as {
    buckets?: {
      id: string;
      orgID: string;
      name: string;
      retentionRules: { everySeconds: number; shardGroupDurationSeconds: number }[];
    }[];
  };
  return buckets[0];
}

export async function dropBucket(config: InfluxConfig, name: string): Promise<void> {
  const bucket = await findBucket(config, name);
  if (bucket) await influxCall(config, `/api/v2/buckets/${bucket.id}`, { method: 'DELETE' });
}

/** Runs `work` with a fresh bucket that is gone afterwards. */
export async function withBucket<T>(
  config: InfluxConfig,
  options: { readonly what: string; readonly retentionMs?: number },
  work: (bucket: string) => Promise<T>,
): Promise<T> {
  const name = uniqueName(options.what);
  await setupBuckets(config, [{ name, retentionMs: options.retentionMs ?? 0 }]);
  try {
    return await work(name);
  } finally {
    await dropBucket(config, name);
  }
}

/** A token with only these rights on one bucket. */
export async function tokenFor(
  config: InfluxConfig,
  name: string,
  actions: readonly ('read' | 'write')[],
): Promise<{ config: InfluxConfig; revoke: () => Promise<void> }> {
  const bucket = await findBucket(config, name);
  if (!bucket) throw new Error(`no bucket ${name}`);
  const { id, orgID } = bucket;
  const { json } = await influxCall(config, '/api/v2/authorizations', {
    method: 'POST',
    body: JSON.stringify({
      orgID,
      description: name,
      permissions: actions.map((action) => ({ action, resource: { type: 'buckets', id, orgID } })),
    }),
  });
  const made = json as { id: string; token: string };
  return {
    config: { ...config, token: made.token },
    revoke: async () => {
      await influxCall(config, `/api/v2/authorizations/${made.id}`, { method: 'DELETE' });
    },
  };
}

/** Every point of a bucket, field by field: `measurement,tags field time` → `type value`. */
export async function pointsInBucket(
  config: InfluxConfig,
  bucket: string,
  fromMs = 0,
): Promise<Map<string, string>> {
  // One table per field: within a field all values have one type.
  const query = `from(bucket: "${bucket}") |> range(start: ${new Date(fromMs).toISOString()}, stop: 2200-01-01T00:00:00Z) |> drop(columns: ["_start", "_stop"]) |> group(columns: ["_measurement", "_field"])`;
  const { status, text } = await influxCall(config, `/api/v2/query?org=${config.org}`, {
    method: 'POST',
    body: JSON.stringify({ query, type: 'flux', dialect: { annotations: ['datatype'] } }),
  });
  if (status !== 200) throw new Error(`reading ${bucket}: ${status} ${text}`);
  const points = new Map<string, string>();
  let types: string[] = [];
  let names: string[] | undefined;
  for (const line of text.split('\r\n')) {
    const cells = line.split(',');
    if (line === '') names = undefined;
    else if (cells[0] === '#datatype') types = cells;
    else if (names === undefined) names = cells;
    // It may come in the middle of an answer, after a status of 200.
    else if (names.includes('error')) throw new Error(`reading ${bucket}: ${line}`);
    else {
      const of = (name: string) => cells[(names as string[]).indexOf(name)] ?? '';
      const tags = names
        .map((name, i) => [name, cells[i]] as const)
        .filter(
          ([name, value]) => name !== '' && !/^(_.*|result|table)$/.test(name) && value !== '',
        )
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([name, value]) => `,${name}=${value}`);
      points.set(
        `${of('_measurement')}${tags.join('')} ${of('_field')} ${of('_time')}`,
        `${types[names.indexOf('_value')]} ${of('_value')}`,
      );
    }
  }
  return points;
}
