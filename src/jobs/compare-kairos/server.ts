/** A KairosDB to compare, over its REST interface. Errors say whether asking again helps. */
import { FatalError, messageOf, RetriableError } from '../../model/index.ts';
import { type Answer, answerOf, namesOf, readAnswer, type Value } from './answer.ts';

/** A longer answer than this means that nobody is there any more. */
const ANSWER_WITHIN_MS = 300_000;

export interface Series {
  /** `host=a, dc=b`, names ascending; in quotes what would make it ambiguous. */
  readonly name: string;
  readonly values: readonly (readonly [timestampMs: number, value: Value])[];
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
    const { url, user, password } = readAddress(address);
    const basic = Buffer.from(`${user}:${password}`).toString('base64');
    this.#headers =
      password === ''
        ? {}
        : { authorization: user === '' ? `Bearer ${password}` : `Basic ${basic}` };
    this.url = `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
  }

  async metricNames(signal: AbortSignal): Promise<readonly string[]> {
    const { where, json } = await this.#ask('metricnames', undefined, signal);
    return namesOf(where, json);
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
        results.flatMap(({ values = [] }) => values.map(([timestampMs]) => timestampMs)),
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
        .filter(({ values = [] }) => values.length > 0)
        .map(({ tags: own, values = [] }) => ({
          name: Object.entries(own)
            .map(([name, [value = '']]) => `${word(name)}=${word(value)}`)
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
    const { where, json } = await this.#ask(path, JSON.stringify(body), signal);
    return answerOf(where, json);
  }

  async #ask(
    path: string,
    body: string | undefined,
    signal: AbortSignal,
  ): Promise<{ readonly where: string; readonly json: unknown }> {
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
    if (response.ok) return { where, json: readAnswer(where, text) };
    const message = `${where} answers ${response.status}: ${text.slice(0, 500)}`;
    if (response.status >= 500 || response.status === 429) {
      throw new RetriableError(message, { code: 'COMPARE_UNANSWERED' });
    }
    throw new FatalError(message, { code: 'COMPARE_REFUSED' });
  }
}

const word = (text: string): string => (/^[^\s,="]+$/.test(text) ? text : JSON.stringify(text));

/** What is said of a wrong one must not hold a password. */
function readAddress(address: string): {
  readonly url: URL;
  readonly user: string;
  readonly password: string;
} {
  const shown = address.replace(/^(.*?:\/\/)?.*@/s, '$1…@');
  const wrong = (what: string) =>
    new FatalError(`${shown} is no address: ${what}`, { code: 'COMPARE_ADDRESS_INVALID' });
  const url = URL.parse(address);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw wrong('write http://HOST:PORT or https://HOST:PORT');
  }
  try {
    return {
      url,
      user: decodeURIComponent(url.username),
      password: decodeURIComponent(url.password),
    };
  } catch {
    throw wrong('a % in the user or password is written %25');
  }
}
