/** A KairosDB to compare, over its REST interface. Errors say whether asking again helps. */
import { FatalError, messageOf, RetriableError } from '../../model/index.ts';

/** A longer answer than this means that nobody is there any more. */
const ANSWER_WITHIN_MS = 300_000;

export type Value = number | bigint | string | null;

export interface Series {
  /** `host=a, dc=b`, names ascending. */
  readonly name: string;
  readonly values: readonly (readonly [timestampMs: number, value: Value])[];
}

interface Answer {
  readonly queries: readonly {
    readonly sample_size: number;
    readonly results: readonly {
      readonly tags: Readonly<Record<string, readonly string[]>>;
      readonly values: readonly (readonly [number, Value])[];
    }[];
  }[];
}

export interface TimeRange {
  readonly fromMs: number;
  /** Not included. */
  readonly toMs: number;
}

export class KairosServer {
  /** Without whatever it says of who asks. */
  readonly url: string;
  readonly #headers: Readonly<Record<string, string>>;

  /** `http://user:password@host:8080`; a password without a user is a bearer token. Throws FatalError. */
  constructor(address: string) {
    let url: URL;
    try {
      url = new URL(address);
    } catch {
      throw new FatalError(`${address} is no address: write http://HOST:PORT`, {
        code: 'COMPARE_ADDRESS_INVALID',
      });
    }
    const [user, password] = [url.username, url.password].map(decodeURIComponent);
    const basic = Buffer.from(`${user}:${password}`).toString('base64');
    this.#headers =
      password === ''
        ? {}
        : { authorization: user === '' ? `Bearer ${password}` : `Basic ${basic}` };
    this.url = `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
  }

  async metricNames(signal: AbortSignal): Promise<readonly string[]> {
    const { results } = (await this.#ask('metricnames', undefined, signal)) as {
      results: readonly string[];
    };
    return results;
  }

  /** The times of the first and the last point in a range; undefined when there is none. */
  async extent(
    metric: string,
    range: TimeRange,
    signal: AbortSignal,
  ): Promise<{ readonly firstMs: number; readonly lastMs: number } | undefined> {
    const edge = async (order: 'asc' | 'desc') => {
      const { queries } = await this.#query(range, { name: metric, limit: 1, order }, signal);
      const times = queries.flatMap(({ results }) =>
        results.flatMap(({ values }) => values.map(([timestampMs]) => timestampMs)),
      );
      return order === 'asc' ? Math.min(...times) : Math.max(...times);
    };
    const firstMs = await edge('asc');
    return Number.isFinite(firstMs) ? { firstMs, lastMs: await edge('desc') } : undefined;
  }

  async countPoints(metric: string, range: TimeRange, signal: AbortSignal): Promise<number> {
    const sampling = { value: 1, unit: 'years' };
    const aggregators = [{ name: 'count', sampling }];
    const { queries } = await this.#query(range, { name: metric, aggregators }, signal);
    return queries.reduce((sum, { sample_size: size }) => sum + size, 0);
  }

  /** Each series with its points in time order. Numbers and texts of one series are two of the same name. */
  async readSeries(
    metric: string,
    range: TimeRange,
    signal: AbortSignal,
  ): Promise<readonly Series[]> {
    const tagNames = new Set<string>();
    const tags = await this.#query(range, { name: metric }, signal, 'datapoints/query/tags');
    for (const { results } of tags.queries) {
      for (const result of results) for (const name of Object.keys(result.tags)) tagNames.add(name);
    }
    const groupBy = tagNames.size === 0 ? [] : [{ name: 'tag', tags: [...tagNames].sort() }];
    const { queries } = await this.#query(range, { name: metric, group_by: groupBy }, signal);
    return queries.flatMap(({ results }) =>
      results
        .filter(({ values }) => values.length > 0)
        .map(({ tags: own, values }) => ({
          name: Object.entries(own)
            .map(([name, [value]]) => `${name}=${value}`)
            .sort()
            .join(', '),
          values,
        })),
    );
  }

  async #query(
    { fromMs, toMs }: TimeRange,
    metric: object,
    signal: AbortSignal,
    path = 'datapoints/query',
  ): Promise<Answer> {
    const body = {
      start_absolute: fromMs,
      end_absolute: toMs - 1,
      time_zone: 'UTC',
      metrics: [metric],
    };
    return (await this.#ask(path, JSON.stringify(body), signal)) as Answer;
  }

  async #ask(path: string, body: string | undefined, signal: AbortSignal): Promise<unknown> {
    const where = `${this.url}/api/v1/${path}`;
    const late = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_WITHIN_MS)]);
    let response: Response;
    let text: string;
    try {
      response = await fetch(where, {
        signal: late,
        headers: { ...this.#headers, ...(body && { 'content-type': 'application/json' }) },
        ...(body === undefined ? {} : { method: 'POST', body }),
      });
      text = await response.text();
    } catch (error) {
      signal.throwIfAborted();
      const { cause } = error as { cause?: unknown };
      throw new RetriableError(`${where}: ${messageOf(cause ?? error)}`, {
        code: 'COMPARE_UNREACHABLE',
        cause: error,
      });
    }
    if (response.ok) return readAnswer(where, text);
    const message = `${where} answers ${response.status}: ${text.slice(0, 500)}`;
    if (response.status >= 500 || response.status === 429) {
      throw new RetriableError(message, { code: 'COMPARE_UNANSWERED' });
    }
    throw new FatalError(message, { code: 'COMPARE_REFUSED' });
  }
}

/** Longs that a double can't hold stay exact. */
function readAnswer(where: string, text: string): unknown {
  const keepLongs = (_key: string, value: unknown, context?: { source?: string }): unknown =>
    typeof value === 'number' &&
    !Number.isSafeInteger(value) &&
    /^-?\d+$/.test(context?.source ?? '')
      ? BigInt(context?.source as string)
      : value;
  try {
    return JSON.parse(text, keepLongs as (key: string, value: unknown) => unknown);
  } catch (error) {
    throw new FatalError(`${where} does not answer with JSON: is it a KairosDB?`, {
      code: 'COMPARE_REFUSED',
      cause: error,
    });
  }
}
