/** Joins two InfluxDBs for `tidemark copy-influx`. */
import { readFileSync } from 'node:fs';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import {
  bucketInfluxql,
  InfluxqlReader,
  InfluxSink,
  influxConfig,
  setupBuckets,
  storedMeasurement,
  storedName,
} from '../databases/influx/index.ts';
import type { CopyInput, CopyParts, CopySource, CopyTarget } from '../jobs/index.ts';
import { FatalError, messageOf, type Point } from '../model/index.ts';

export interface CopyInfluxOptions {
  readonly source: {
    readonly url: string;
    readonly database: string;
    readonly retentionPolicy?: string | undefined;
    readonly user?: string | undefined;
    readonly password?: string | undefined;
    readonly token?: string | undefined;
  };
  readonly target: {
    readonly url: string;
    readonly org: string;
    readonly bucket: string;
    readonly token: string;
  };
  /** PEM file of an authority that signed a server's certificate. */
  readonly ca?: string | undefined;
  readonly createBucket?: boolean | undefined;
  readonly queriesMax: number;
  readonly maxRows: number;
}

export async function joinInfluxes(options: CopyInfluxOptions): Promise<CopyParts> {
  if (options.ca !== undefined) trust(options.ca);
  const { url, org, token, bucket } = options.target;
  const config = influxConfig({ url, org, token, gzip: isAcrossNetwork(url) });
  if (options.createBucket) await setupBuckets(config, [{ name: bucket, retentionMs: 0 }]);
  return {
    source: sourceOf(options.source),
    target: await targetOf(config, bucket),
    queriesMax: options.queriesMax,
    maxRows: options.maxRows,
  };
}

function sourceOf(source: CopyInfluxOptions['source']): CopySource {
  const { user, password = '', token, retentionPolicy } = source;
  const login = user === undefined ? undefined : Buffer.from(`${user}:${password}`);
  const authorization = token ? `Token ${token}` : login && `Basic ${login.toString('base64')}`;
  return new InfluxqlReader({
    url: checked(source.url),
    database: source.database,
    gzip: isAcrossNetwork(source.url),
    ...(retentionPolicy === undefined ? {} : { retentionPolicy }),
    ...(authorization === undefined ? {} : { authorization }),
    who: 'the source',
  });
}

async function targetOf(
  config: ReturnType<typeof influxConfig>,
  bucket: string,
): Promise<CopyTarget> {
  const sink = new InfluxSink({ config, bucket });
  await sink.connect();
  const reader = bucketInfluxql(config, bucket, 'the target');
  return {
    writeLines: (lines, signal) => sink.writeLines(lines, signal),
    write: (points, signal) => sink.write(points, signal),
    digest: ({ measurement, schema, ...slice }, signal) =>
      reader.digest(
        {
          ...slice,
          measurement: storedMeasurement(measurement),
          schema: { fields: schema.fields.map(storedName), tags: schema.tags.map(storedName) },
        },
        signal,
      ),
    altered,
  };
}

function altered({ measurement, tags, fields }: Point): string | undefined {
  const changed = (what: string, name: string, stored: string) =>
    `${what} ${JSON.stringify(name)} is stored as ${JSON.stringify(stored)}, since line protocol has no escape for it`;
  const stored = storedMeasurement(measurement);
  if (stored !== measurement) return changed('the measurement', measurement, stored);
  for (const key in tags) {
    const value = tags[key] as string;
    if (storedName(key) !== key) return changed('the tag', key, storedName(key));
    if (storedName(value) !== value)
      return changed(`the value of ${key}`, value, storedName(value));
  }
  for (const key in fields) {
    if (storedName(key) !== key) return changed('the field', key, storedName(key));
  }
  return undefined;
}

/** Units of the plan by measurement, for a dry run. */
export async function planned(
  plan: AsyncIterable<{ readonly work: unknown; readonly size: number }>,
): Promise<
  readonly {
    readonly measurement: string;
    readonly units: number;
    readonly points: number;
    readonly first: string;
    readonly last: string;
  }[]
> {
  const timeOf = (ns: string) => new Date(Number(BigInt(ns) / 1_000_000n)).toISOString();
  const all = new Map<
    string,
    { measurement: string; units: number; points: number; first: string; last: string }
  >();
  for await (const { work, size } of plan) {
    const { measurement, fromNs, toNs } = work as Record<string, string>;
    const known = all.get(measurement as string);
    all.set(measurement as string, {
      measurement: measurement as string,
      units: (known?.units ?? 0) + 1,
      points: (known?.points ?? 0) + size,
      first: known?.first ?? timeOf(fromNs as string),
      last: timeOf(toNs as string),
    });
  }
  return [...all.values()];
}

/** The bucket's name in which a 2.x finds a database and policy of 1.x. */
export const bucketFor = (database: string, retentionPolicy: string | undefined): string =>
  retentionPolicy === undefined ? database : `${database}/${retentionPolicy}`;

export const copyInput = (
  { source, target }: CopyInfluxOptions,
  rest: Omit<CopyInput, 'from' | 'into'>,
): CopyInput => ({
  ...rest,
  from: `${checked(source.url)} ${source.database}${source.retentionPolicy === undefined ? '' : `.${source.retentionPolicy}`}`,
  into: `${checked(target.url)} ${target.bucket}`,
});

function checked(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || !/^https?:$/.test(parsed.protocol) || parsed.username) {
    throw new FatalError(
      `expected an http or https address without a login in it, got ${parsed === undefined ? url : parsed.host}`,
      { code: 'CONFIG_INVALID', context: { name: '--from' } },
    );
  }
  return `${parsed.origin}${parsed.pathname.replace(/\/+$/, '')}`;
}

/** Packing costs both ends more than it saves where there is no network between. */
const isAcrossNetwork = (url: string): boolean =>
  !(URL.canParse(url) && ['127.0.0.1', 'localhost', '[::1]'].includes(new URL(url).hostname));

function trust(file: string): void {
  try {
    setDefaultCACertificates([...getCACertificates('default'), readFileSync(file, 'utf8')]);
  } catch (error) {
    throw new FatalError(`--ca: ${file} can't be used: ${messageOf(error)}`, {
      code: 'CONFIG_INVALID',
      context: { name: '--ca' },
    });
  }
}
