/**
 * Buckets out of an InfluxDB 2.x and back into one, by its own backup API: shards as the server's snapshots, gzipped.
 * It needs an operator's token. Of the server's metadata only the buckets' part is kept: the rest holds its tokens.
 */
import { createReadStream, createWriteStream } from 'node:fs';
import { open as openFile, rename, rm } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream } from 'node:stream/web';
import { createGzip } from 'node:zlib';
import { FatalError, messageOf, RetriableError } from '../../model/index.ts';
import type { InfluxConfig } from './config.ts';
import { errorOf, request } from './http.ts';
import { organisationId } from './setup.ts';

/** One bucket as the server's backup describes it; goes back to it unchanged but for ids and name. */
export interface BucketManifest {
  readonly organizationID: string;
  readonly organizationName: string;
  readonly bucketID: string;
  readonly bucketName: string;
  readonly retentionPolicies: readonly {
    readonly shardGroups: readonly {
      readonly startTime: string;
      readonly endTime: string;
      readonly deletedAt?: string | null;
      readonly shards: readonly { readonly id: number }[];
    }[];
  }[];
}

/** Shards of a bucket that still stand, oldest first. */
export const shardsOf = (bucket: BucketManifest): readonly number[] =>
  bucket.retentionPolicies
    .flatMap(({ shardGroups }) => shardGroups)
    .filter(({ deletedAt }) => deletedAt == null || deletedAt.startsWith('0001-'))
    .flatMap(({ shards }) => shards.map(({ id }) => id));

/** The manifests of the organisation's buckets whose names are given, sorted by name. */
export async function bucketManifests(
  config: InfluxConfig,
  names: readonly string[],
  signal?: AbortSignal,
  { missing = 'refuse' }: { readonly missing?: 'refuse' | 'skip' } = {},
): Promise<readonly BucketManifest[]> {
  const what = 'back up the metadata';
  const reply = await exchange(config, { path: '/api/v2/backup/metadata', signal });
  if (reply.status !== 200) throw await failureOf(config, reply, what);
  const all = bucketsPart(await reply.text(), reply.headers.get('content-type') ?? '');
  return [...names].sort().flatMap((name) => {
    const found = all.find(
      (b) =>
        b.bucketName === name &&
        (b.organizationName === config.org || b.organizationID === config.org),
    );
    if (found !== undefined) return [found];
    if (missing === 'skip') return [];
    throw new FatalError(
      `there is no bucket "${name}" in organisation "${config.org}"; run \`tidemark setup\`, or mend INFLUX_ORG`,
      { code: 'INFLUX_NOT_FOUND', context: { bucket: name } },
    );
  });
}

/** The JSON of the part `buckets` of a multipart reply. */
export function bucketsPart(text: string, contentType: string): readonly BucketManifest[] {
  const boundary = /boundary=("?)([^";]+)\1/.exec(contentType)?.[2];
  const part = text
    .split(`--${boundary}`)
    .find((each) => /^content-disposition:.*name="buckets"/im.test(each.slice(0, 400)));
  const body = part?.slice(part.indexOf('\r\n\r\n') + 4);
  try {
    return JSON.parse(body ?? '') as BucketManifest[];
  } catch (error) {
    throw new FatalError(
      'the server’s backup has no readable list of buckets; is INFLUX_URL an InfluxDB 2.x?',
      { code: 'INFLUX_REFUSED', cause: error },
    );
  }
}

/** Writes one shard's snapshot, gzipped, to `file`: whole, or not there. False when the shard holds nothing. */
export async function backUpShard(
  config: InfluxConfig,
  shard: number,
  file: string,
  signal?: AbortSignal,
): Promise<boolean> {
  const reply = await exchange(config, { path: `/api/v2/backup/shards/${shard}`, signal });
  if (reply.status === 404) return false;
  if (reply.status !== 200 || reply.body === null)
    throw await failureOf(config, reply, `back up shard ${shard}`);
  const partial = `${file}.partial`;
  try {
    const source = Readable.fromWeb(reply.body as ReadableStream);
    await pipeline(source, createGzip({ level: 3 }), createWriteStream(partial), {
      ...(signal === undefined ? {} : { signal }),
    });
  } catch (error) {
    await rm(partial, { force: true });
    if (signal?.aborted) throw signal.reason;
    throw new RetriableError(`the snapshot of shard ${shard} was cut: ${messageOf(error)}`, {
      code: 'SINK_UNREACHABLE',
      cause: error,
      context: { url: config.url, shard },
    });
  }
  const handle = await openFile(partial, 'r');
  await handle.sync();
  await handle.close();
  await rename(partial, file);
  return true;
}

/**
 * Brings a bucket back under its name. It is filled under another name first and renamed last, so that a bucket of
 * this name is whole whenever it is there; what an earlier, killed attempt left is removed.
 * Rejects with FatalError BUCKET_EXISTS when a bucket of that name stands. A 2.7 server takes half a file without a
 * word: the caller checks the files' hashes first.
 */
export async function restoreBucket(
  config: InfluxConfig,
  options: {
    readonly manifest: BucketManifest;
    /** File of a shard's snapshot; undefined when it held nothing. */
    readonly fileOf: (shard: number) => string | undefined;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<void> {
  const { manifest, fileOf, signal } = options;
  const name = manifest.bucketName;
  const call = async (what: string, wanted: Omit<Parameters<typeof request>[1], 'signal'>) => {
    const reply = await request(config, { ...wanted, signal });
    if (reply.status >= 300) throw errorOf(config, reply, { what });
    return reply;
  };
  const orgID = await organisationId(config, signal);
  const find = async (wanted: string): Promise<string | undefined> => {
    const query = { orgID, limit: '100', name: wanted };
    const reply = await request(config, { method: 'GET', path: '/api/v2/buckets', query, signal });
    if (reply.status === 404) return undefined;
    if (reply.status >= 300) throw errorOf(config, reply, { what: `look up bucket "${wanted}"` });
    const { buckets = [] } = reply.json as { buckets?: { id: string; name: string }[] };
    return buckets.find((bucket) => bucket.name === wanted)?.id;
  };
  if ((await find(name)) !== undefined) {
    throw new FatalError(
      `a bucket "${name}" stands in organisation "${config.org}": rename or delete it, then restore again`,
      { code: 'BUCKET_EXISTS', context: { bucket: name } },
    );
  }
  const unfinished = `${name}.restoring`;
  const leavings = await find(unfinished);
  if (leavings !== undefined)
    await call(`remove bucket "${unfinished}"`, {
      method: 'DELETE',
      path: `/api/v2/buckets/${leavings}`,
    });
  const made = await call(`make bucket "${unfinished}"`, {
    method: 'POST',
    path: '/api/v2/restore/bucketMetadata',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ ...manifest, organizationID: orgID, bucketName: unfinished }),
  });
  const { id, shardMappings = [] } = made.json as {
    id: string;
    shardMappings?: { oldId: number; newId: number }[];
  };
  for (const { oldId, newId } of shardMappings) {
    const file = fileOf(oldId);
    if (file !== undefined) await sendShard(config, { shard: newId, file, signal });
  }
  await call(`name bucket "${name}"`, {
    method: 'PATCH',
    path: `/api/v2/buckets/${id}`,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name }),
  });
}

async function sendShard(
  config: InfluxConfig,
  options: { shard: number; file: string; signal: AbortSignal | undefined },
): Promise<void> {
  const { shard, file, signal } = options;
  const reply = await exchange(config, {
    path: `/api/v2/restore/shards/${shard}`,
    method: 'POST',
    headers: { 'content-encoding': 'gzip', 'content-type': 'application/octet-stream' },
    body: Readable.toWeb(createReadStream(file)) as unknown as RequestInit['body'],
    signal,
  });
  if (reply.status >= 300) throw await failureOf(config, reply, `restore shard ${shard}`);
  await reply.arrayBuffer();
}

/** A request whose body or reply is too large to be held. */
async function exchange(
  config: InfluxConfig,
  wanted: {
    path: string;
    method?: 'POST';
    headers?: Record<string, string>;
    body?: RequestInit['body'];
    signal: AbortSignal | undefined;
  },
): Promise<Response> {
  const { path, method = 'GET', headers, body, signal } = wanted;
  try {
    return await fetch(`${config.url}${path}`, {
      method,
      headers: { authorization: `Token ${config.token}`, ...headers },
      redirect: 'manual',
      ...(body === undefined ? {} : { body, duplex: 'half' as const }),
      ...(signal ? { signal } : {}),
    });
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    const cause = error instanceof Error ? (error.cause ?? error) : error;
    throw new RetriableError(`InfluxDB at ${config.url} does not answer: ${messageOf(cause)}`, {
      code: 'SINK_UNREACHABLE',
      cause: error,
      context: { url: config.url },
    });
  }
}

async function failureOf(config: InfluxConfig, reply: Response, what: string) {
  const message = (await reply.text()).slice(0, 2_000);
  const { status, headers } = reply;
  return errorOf(config, { status, headers, code: '', message, json: undefined }, { what });
}
