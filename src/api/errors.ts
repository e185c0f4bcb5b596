/**
 * The catalogue of HTTP problems (RFC 9457) for everything outside `/api/v1`: one code, one status, one cure.
 * Whatever goes wrong becomes one of these; only a bug or an unreachable server beneath is a 5xx.
 */
import { messageOf, RetriableError, TidemarkError } from '../model/index.ts';

interface Entry {
  readonly status: number;
  readonly title: string;
  /** What the caller does about it; shown at /docs. */
  readonly cure: string;
}

export const catalogue = {
  BAD_REQUEST: {
    status: 400,
    title: 'Not a request',
    cure: 'Check the URL’s percent signs and the headers.',
  },
  UNAUTHORIZED: {
    status: 401,
    title: 'Token missing or wrong',
    cure: 'Send Authorization: Bearer with one of TIDEMARK_TOKENS.',
  },
  INTERNAL_TOPIC: {
    status: 403,
    title: 'Topic is the engine’s own',
    cure: 'Publish to a topic whose name does not begin with tidemark.',
  },
  ORIGIN_REFUSED: {
    status: 403,
    title: 'Web page may not write here',
    cure: 'Add the page’s origin to http.corsOrigins.',
  },
  NOT_FOUND: { status: 404, title: 'No such route', cure: 'See /docs for the routes there are.' },
  UNKNOWN_TOPIC: {
    status: 404,
    title: 'No such topic',
    cure: 'GET /v1/topics lists the topics; `tidemark setup` makes missing ones.',
  },
  UNKNOWN_PARTITION: {
    status: 404,
    title: 'No such partition',
    cure: 'GET /v1/topics lists each topic’s partitions.',
  },
  UNKNOWN_TOPOLOGY: {
    status: 404,
    title: 'No such topology',
    cure: 'GET /v1/topologies lists those that run.',
  },
  UNKNOWN_VALIDATOR: {
    status: 404,
    title: 'Validator not seen',
    cure: 'GET /v1/live/validators lists those seen since start.',
  },
  UNKNOWN_NETWORK: {
    status: 404,
    title: 'Network not seen',
    cure: 'Networks are mainnet, testnet and devnet; votes of it must have come in.',
  },
  UNKNOWN_SINK: { status: 404, title: 'No such sink', cure: 'GET /v1/backlog lists the sinks.' },
  UNKNOWN_HOST: {
    status: 404,
    title: 'Host not seen',
    cure: 'GET /v1/fleet/hosts lists those that have reported.',
  },
  UNKNOWN_SERIES: {
    status: 404,
    title: 'No such series',
    cure: 'GET /v1/fleet/hosts/:host shows what a host reports.',
  },
  UNKNOWN_ANNOTATION: {
    status: 404,
    title: 'No such annotation',
    cure: 'GET /v1/annotations lists them.',
  },
  INFLUX_NOT_NAMED: {
    status: 404,
    title: 'No InfluxDB here',
    cure: 'Set INFLUX_URL, INFLUX_ORG and INFLUX_TOKEN; /v1/validators/:id/metrics needs none of them.',
  },
  UNKNOWN_QUERY: {
    status: 404,
    title: 'No such query',
    cure: 'GET /v1/influx/queries lists them.',
  },
  UNKNOWN_REPLAY: {
    status: 404,
    title: 'No such replay',
    cure: 'GET /v1/replays lists the jobs this process knows.',
  },
  UNKNOWN_POINT: {
    status: 404,
    title: 'No such rollup',
    cure: 'Name a record of a rollup topic: TOPIC/KEY@START or TOPIC:PARTITION:OFFSET.',
  },
  LINEAGE_GONE: {
    status: 404,
    title: 'The records of this rollup are gone',
    cure: 'Keep the topic for longer: TIDEMARK_RETENTION_HOURS, or Kafka’s retention.',
  },
  UNKNOWN_JOB: {
    status: 404,
    title: 'No such job',
    cure: 'GET /v1/jobs lists the jobs of this process.',
  },
  UNKNOWN_ALERT: {
    status: 404,
    title: 'No such alert',
    cure: 'GET /v1/alerts lists those that are pending or firing, and the history.',
  },
  UNKNOWN_SILENCE: {
    status: 404,
    title: 'No such silence',
    cure: 'GET /v1/alerts/silences lists them.',
  },
  METHOD_NOT_ALLOWED: {
    status: 405,
    title: 'Method not offered here',
    cure: 'The Allow header names the methods.',
  },
  ALERT_NOT_FIRING: {
    status: 409,
    title: 'The alert is not firing',
    cure: 'Only an alert that fires can be acknowledged; it may have resolved meanwhile.',
  },
  PAYLOAD_TOO_LARGE: {
    status: 413,
    title: 'Body too large',
    cure: 'Send fewer records at once, or raise http.bodyBytesMax.',
  },
  RECORD_TOO_LARGE: {
    status: 413,
    title: 'One record is too large for the log',
    cure: 'Split the record, or store the bulk elsewhere and publish where it is.',
  },
  UNSUPPORTED_MEDIA_TYPE: {
    status: 415,
    title: 'Body of another kind expected',
    cure: 'Send application/json, or application/x-ndjson to publish; gzip is accepted.',
  },
  BODY_EMPTY: { status: 422, title: 'Nothing was sent', cure: 'Send at least one record.' },
  NOT_JSON: { status: 422, title: 'Not JSON', cure: 'Mend the JSON; the errors say where.' },
  FIELD_INVALID: {
    status: 422,
    title: 'A field is wrong',
    cure: 'The errors name each field and what is expected.',
  },
  RECORDS_INVALID: {
    status: 422,
    title: 'Some records can’t be stored; none was',
    cure: 'The errors list them; mend or leave them out, and send again.',
  },
  INFLUX_UNANSWERED: {
    status: 424,
    title: 'InfluxDB gave no answer',
    cure: 'The detail says why: it is away, its token lacks rights, or the range is too long. /v1/validators/:id/metrics answers without it.',
  },
  HISTORY_UNANSWERED: {
    status: 424,
    title: 'No store of history answered',
    cure: 'The detail says why each did not. TIDEMARK_HISTORY_FALLBACK names a store that answers when the primary does not.',
  },
  RANGE_INVALID: {
    status: 422,
    title: 'The range is empty or no range',
    cure: 'from must lie before to; both are ms or ISO 8601.',
  },
  AMBIGUOUS_SERIES: {
    status: 422,
    title: 'Several series fit',
    cure: 'Say which: metricType, mount, interface or tag.',
  },
  TOO_MUCH_ASKED: {
    status: 422,
    title: 'The answer would be too large',
    cure: 'Ask for a shorter range, a wider step, or fewer hosts and fields.',
  },
  CURSOR_INVALID: {
    status: 422,
    title: 'Last-Event-ID is not of this feed',
    cure: 'Leave it out and say from= where to begin.',
  },
  UNKNOWN_NAME: {
    status: 422,
    title: 'No topology or sink of that name',
    cure: 'GET /v1/topologies and /v1/backlog list the names.',
  },
  JOB_NOT_OFFERED: {
    status: 422,
    title: 'Jobs of this kind are off here',
    cure: 'The detail names the setting that lets the engine do them; the command of the same name needs none.',
  },
  FILE_NOT_OFFERED: {
    status: 422,
    title: 'No such file below the folder',
    cure: 'Name a file below TIDEMARK_MIGRATE_DIRECTORY, from there.',
  },
  DATABASE_UNUSABLE: {
    status: 422,
    title: 'Not a SQLite database',
    cure: 'Name the database file itself, whole, one that the engine may read.',
  },
  TABLE_UNKNOWN: {
    status: 422,
    title: 'No table of votes',
    cure: 'Say table; the detail names those there are.',
  },
  COLUMNS_UNKNOWN: {
    status: 422,
    title: 'Columns that are not known',
    cure: 'Say map, field by column; the detail names the columns there are.',
  },
  UNKNOWN_KIND: {
    status: 422,
    title: 'No job of that kind can be started here',
    cure: 'The detail names the kinds; others are commands of their own.',
  },
  RATE_LIMITED: {
    status: 429,
    title: 'Too many requests',
    cure: 'Wait as long as Retry-After says.',
  },
  BACKLOG_FULL: {
    status: 429,
    title: 'A sink of this topic is too far behind',
    cure: 'Wait as long as Retry-After says; `tidemark backlog` tells which sink, and why it waits.',
  },
  TOO_MANY_ANNOTATIONS: {
    status: 429,
    title: 'No room for more annotations',
    cure: 'DELETE those that nobody needs.',
  },
  TOO_MANY_WATCHERS: {
    status: 429,
    title: 'Too many watch at once',
    cure: 'Close a dashboard, or wait as long as Retry-After says.',
  },
  TOO_MANY_REPLAYS: {
    status: 429,
    title: 'Too many replays at once',
    cure: 'Wait for one to end, or DELETE one.',
  },
  TOO_MANY_JOBS: {
    status: 429,
    title: 'Too many jobs of this kind at once',
    cure: 'Wait for one to end, or DELETE one.',
  },
  TOO_MANY_SILENCES: {
    status: 429,
    title: 'Too many silences at once',
    cure: 'DELETE one, or make one whose matchers fit more.',
  },
  INTERNAL: {
    status: 500,
    title: 'A bug of ours',
    cure: 'The log has the details under the same instance.',
  },
  UNAVAILABLE: {
    status: 503,
    title: 'Something beneath is not reachable',
    cure: 'Try again after Retry-After; /ready says what is missing.',
  },
} as const satisfies Record<string, Entry>;

export type ProblemCode = keyof typeof catalogue;

/** One thing that is wrong; `line` counts from 1 in NDJSON, `record` from 0 in `records`. */
export interface ProblemItem {
  readonly line?: number;
  readonly record?: number;
  readonly field?: string;
  readonly code?: string;
  readonly message: string;
}

/** The body of every refusal, as `application/problem+json`. */
export interface Problem {
  /** Where /docs explains the code. */
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: string;
  /** The path that was asked for. */
  readonly instance: string;
  readonly errors?: readonly ProblemItem[];
}

/** Thrown by handlers: a refusal from the catalogue. */
export class Refusal extends TidemarkError {
  declare readonly code: ProblemCode;
  readonly errors: readonly ProblemItem[] | undefined;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    code: ProblemCode,
    detail: string,
    more: {
      readonly errors?: readonly ProblemItem[];
      readonly headers?: Readonly<Record<string, string>>;
    } = {},
  ) {
    super('poison', detail, { code });
    this.errors = more.errors;
    this.headers = more.headers ?? {};
  }
}

/** Codes of Fastify and its plugins that stand for a refusal. */
const frameworkRefusals: Readonly<Record<string, readonly [ProblemCode, string]>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: ['PAYLOAD_TOO_LARGE', 'the body is larger than is read here'],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: [
    'UNSUPPORTED_MEDIA_TYPE',
    'a body of this Content-Type (or none) is not read here',
  ],
  FST_CP_ERR_INVALID_CONTENT_ENCODING: [
    'UNSUPPORTED_MEDIA_TYPE',
    'a body of this Content-Encoding is not read here',
  ],
};

const RETRY_AFTER_MS = 1_000;

/** What anything thrown by a handler, the framework or the engine means to the caller. */
export function refusalOf(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  if (error instanceof TidemarkError) {
    if (error.code in catalogue) {
      return new Refusal(error.code as ProblemCode, error.message, {
        headers: /^TOO_MANY_(REPLAYS|JOBS)$/.test(error.code) ? retryAfter(RETRY_AFTER_MS) : {},
      });
    }
    if (error instanceof RetriableError) {
      return new Refusal('UNAVAILABLE', `${error.message} (${error.code})`, {
        headers: retryAfter(error.retryAfterMs ?? RETRY_AFTER_MS),
      });
    }
    if (error.family === 'poison') return new Refusal('RECORDS_INVALID', error.message);
    return new Refusal('INTERNAL', 'the engine failed; its log says how');
  }
  const { code, statusCode } = error as { code?: unknown; statusCode?: unknown };
  const known = typeof code === 'string' ? frameworkRefusals[code] : undefined;
  if (known !== undefined) return new Refusal(...known);
  if (statusCode === 429) return new Refusal('RATE_LIMITED', messageOf(error));
  if (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500) {
    return new Refusal('BAD_REQUEST', messageOf(error));
  }
  return new Refusal('INTERNAL', 'the request failed for a reason of ours');
}

const retryAfter = (ms: number): Record<string, string> => ({
  'retry-after': String(Math.max(1, Math.ceil(ms / 1_000))),
});

/** `url` may carry a query; the problem does not repeat it. */
export function problemOf(refusal: Refusal, url: string): Problem {
  const { status, title } = catalogue[refusal.code];
  return {
    type: `/docs#${refusal.code}`,
    title,
    status,
    detail: refusal.message,
    code: refusal.code,
    instance: url.split('?', 1)[0]!,
    ...(refusal.errors === undefined ? {} : { errors: refusal.errors }),
  };
}
