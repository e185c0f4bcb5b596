/**
 * copy-influx as a job of the engine. Where it reads and writes are the engine's own settings, and so are the
 * secrets: a caller names neither an address (the engine would carry its login there) nor a password (a job's input
 * is kept on disk, shown and logged). What survives a restart is only what the job is about.
 */
import type { Static } from 'typebox';
import { parseTime } from '../api/index.ts';
import {
  acceptedAs,
  type CopyInput,
  copyKind,
  copySeries,
  type JobKind,
  unitsAtOnce,
} from '../jobs/index.ts';
import { FatalError } from '../model/index.ts';
import { type Clock, type Settings, Type } from '../runtime/index.ts';
import { bucketFor, type CopyInfluxOptions, copyInput, joinInfluxes } from './copy-influx.ts';
import { influxOf } from './feeds.ts';

const name = Type.String({ minLength: 1, maxLength: 1_000 });
const time = Type.Union([
  Type.Integer({ minimum: 0 }),
  Type.String({ minLength: 1, maxLength: 100 }),
]);

const requestSchema = Type.Object(
  {
    database: name,
    retentionPolicy: Type.Optional(name),
    bucket: Type.Optional(name),
    createBucket: Type.Optional(Type.Boolean()),
    measurements: Type.Optional(Type.Array(name, { maxItems: 1_000 })),
    since: Type.Optional(time),
    until: Type.Optional(time),
    maxRows: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000 })),
  },
  { additionalProperties: false },
);

type Request = Static<typeof requestSchema>;

type Input = CopyInput & {
  readonly database: string;
  readonly retentionPolicy: string | null;
  readonly bucket: string;
  readonly createBucket: boolean;
  readonly maxRows: number;
};

const MAX_ROWS = 50_000;
/** An old server falls over under more. */
const QUERIES_MAX = 1;

export function copyJob(settings: Settings, clock: Clock): JobKind<Input> {
  const joined = new Map<string, Promise<JobKind<CopyInput>>>();
  const copyOf = async (input: Input): Promise<JobKind<CopyInput>> => {
    const key = JSON.stringify(input);
    const known = joined.get(key) ?? joinInfluxes(begunWith(settings, input)).then(copySeries);
    // One job at a time: what an earlier one held is needed no more.
    if (!joined.has(key)) joined.clear();
    joined.set(key, known);
    known.catch(() => joined.delete(key));
    return known;
  };
  return {
    ...copyKind,
    runningMax: { jobs: 1, code: 'TOO_MANY_JOBS' },
    unitsAtOnce: unitsAtOnce(QUERIES_MAX),
    accept: async (asked) => inputOf(settings, acceptedAs(requestSchema, asked), clock),
    async *plan(input, context) {
      yield* (await copyOf(input)).plan(input, context);
    },
    run: async (unit, input, context) => (await copyOf(input)).run(unit, input, context),
  };
}

function optionsOf(settings: Settings, input: Omit<Input, keyof CopyInput>): CopyInfluxOptions {
  const { url, user, password, token } = settings.copy;
  const target = influxOf(settings);
  if (url === undefined || target === undefined) {
    throw new FatalError(
      `this engine copies no InfluxDB: set ${url === undefined ? 'COPY_FROM_URL, the InfluxDB to copy from' : 'INFLUX_URL, the InfluxDB to copy into'}`,
      { code: 'JOB_NOT_OFFERED' },
    );
  }
  const { database, retentionPolicy, bucket, createBucket, maxRows } = input;
  return {
    source: {
      url,
      database,
      retentionPolicy: retentionPolicy ?? undefined,
      user,
      password: password?.reveal(),
      token: token?.reveal(),
    },
    target: { ...target, bucket },
    createBucket,
    queriesMax: QUERIES_MAX,
    maxRows,
  };
}

/** Where a job was begun, there it goes on, or not at all. */
function begunWith(settings: Settings, input: Input): CopyInfluxOptions {
  const options = optionsOf(settings, input);
  const { from, into } = copyInput(options, input);
  if (from === input.from && into === input.into) return options;
  throw new FatalError(
    `this job copies ${input.from} → ${input.into}, but the settings now name ${from} → ${into}; set them back, or cancel it`,
    { code: 'JOB_NOT_OFFERED' },
  );
}

function inputOf(settings: Settings, asked: Request, clock: Clock): Input {
  const { database, retentionPolicy } = asked;
  const what = {
    database,
    retentionPolicy: retentionPolicy ?? null,
    bucket: asked.bucket ?? bucketFor(database, retentionPolicy),
    createBucket: asked.createBucket ?? false,
    maxRows: asked.maxRows ?? MAX_ROWS,
  };
  const since = nsOf('since', asked.since) ?? null;
  const until = nsOf('until', asked.until) ?? String(BigInt(clock.now()) * NS_PER_MS);
  if (since !== null && BigInt(since) >= BigInt(until)) {
    throw new FatalError('the range is empty; since must lie before until', {
      code: 'RANGE_INVALID',
    });
  }
  const rest = { measurements: asked.measurements ?? [], since, until };
  return { ...copyInput(optionsOf(settings, what), rest), ...what };
}

const NS_PER_MS = 1_000_000n;

function nsOf(field: string, given: number | string | undefined): string | undefined {
  if (given === undefined) return undefined;
  const ms = parseTime(String(given));
  if (ms !== undefined) return String(BigInt(ms) * NS_PER_MS);
  throw new FatalError(`input.${field}: expected ms or ISO 8601, got ${given}`, {
    code: 'FIELD_INVALID',
  });
}
