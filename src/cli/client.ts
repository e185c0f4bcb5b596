/** The engine's HTTP service as commands use it; every refusal becomes a FatalError with the problem's code. */
import type { Problem } from '../api/index.ts';
import { FatalError, messageOf } from '../model/index.ts';

export interface Client {
  readonly url: string;
  get<T>(path: string): Promise<T>;
  post<T>(path: string, body?: object): Promise<T>;
  put<T>(path: string, body: object): Promise<T>;
  /** NDJSON bytes. */
  postLines<T>(path: string, lines: Buffer): Promise<T>;
  delete<T>(path: string): Promise<T>;
  /** The answer as a stream of text; the caller ends it through the signal. */
  stream(
    path: string,
    options: { readonly headers: Record<string, string>; readonly signal: AbortSignal },
  ): Promise<AsyncIterable<Uint8Array>>;
  /** Stops the engine that was started for this command, if one was. */
  close(): Promise<void>;
}

export function createClient(options: {
  readonly url: string;
  readonly token: string | undefined;
  readonly close?: () => Promise<void>;
}): Client {
  const url = options.url.replace(/\/+$/, '');
  const authorization: Record<string, string> =
    options.token === undefined ? {} : { authorization: `Bearer ${options.token}` };

  const call = async (method: string, path: string, init: RequestInit = {}): Promise<Response> => {
    let response: Response;
    try {
      response = await fetch(`${url}${path}`, {
        ...init,
        method,
        headers: { ...(init.headers as Record<string, string>), ...authorization },
      });
    } catch (error) {
      if (init.signal?.aborted) throw error;
      const cause = (error as Error).cause ?? error;
      throw new FatalError(`no engine answers at ${url}: ${messageOf(cause)}`, {
        code: 'ENGINE_UNREACHABLE',
        cause: error,
      });
    }
    if (!response.ok) throw await refused(response, url);
    return response;
  };
  const json = async <T>(response: Promise<Response>): Promise<T> =>
    (await (await response).json()) as T;

  return {
    url,
    get: (path) => json(call('GET', path)),
    post: (path, body) => json(call('POST', path, jsonOf(body))),
    put: (path, body) => json(call('PUT', path, jsonOf(body))),
    postLines: (path, lines) =>
      json(
        call('POST', path, {
          body: new Uint8Array(lines.buffer, lines.byteOffset, lines.byteLength) as NonNullable<
            RequestInit['body']
          >,
          headers: { 'content-type': 'application/x-ndjson' },
        }),
      ),
    delete: (path) => json(call('DELETE', path)),
    stream: async (path, { headers, signal }) => {
      const { body } = await call('GET', path, { headers, signal });
      return body as AsyncIterable<Uint8Array>;
    },
    close: options.close ?? (() => Promise.resolve()),
  };
}

const jsonOf = (body: object | undefined): RequestInit =>
  body === undefined
    ? {}
    : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };

/** The problem as an error; `context.errors` has its items. */
async function refused(response: Response, url: string): Promise<FatalError> {
  const text = await response.text();
  let problem: Partial<Problem> = {};
  try {
    problem = JSON.parse(text) as Partial<Problem>;
  } catch {
    // Not one of ours: the status is all there is.
  }
  return new FatalError(problem.detail ?? `${url} answered ${response.status}`, {
    code: problem.code ?? `HTTP_${response.status}`,
    context: { status: response.status, errors: problem.errors ?? [] },
  });
}
