/**
 * Requests to the service that served this page. The token is kept for this tab only (sessionStorage), and goes
 * in a header, never in an address. A 401 asks for one, once for all requests that wait.
 */

const KEY = 'tidemark.token';
let token = read();
let asking = null;
let askForToken = async () => undefined;

function read() {
  try {
    return sessionStorage.getItem(KEY) ?? '';
  } catch {
    return '';
  }
}

/** `ask` resolves with a token, or undefined when nobody gives one. */
export function onUnauthorized(ask) {
  askForToken = ask;
}

export function forgetToken() {
  token = '';
  try {
    sessionStorage.removeItem(KEY);
  } catch {
    // It was never kept.
  }
}

/** A refusal of the service, or its absence (status 0), with what to do. */
export class ApiError extends Error {
  constructor(status, problem) {
    super(problem.detail || problem.title);
    this.status = status;
    this.code = problem.code;
    this.title = problem.title;
  }
}

const noAnswer = () =>
  new ApiError(0, {
    code: 'NO_ANSWER',
    title: 'The service does not answer',
    detail: 'The service does not answer. Is it still running? This page tries again by itself.',
  });

async function request(path, options = {}) {
  for (let attempt = 0; ; attempt++) {
    const used = token;
    const headers = {
      ...options.headers,
      ...(used === '' ? {} : { authorization: `Bearer ${used}` }),
    };
    let response;
    try {
      response = await fetch(path, { ...options, headers });
    } catch (error) {
      if (options.signal?.aborted) throw error;
      throw noAnswer();
    }
    if (response.status === 401 && attempt < 5) {
      await newToken(used);
      continue;
    }
    if (response.ok) return response;
    throw new ApiError(response.status, await problemOf(response));
  }
}

async function problemOf(response) {
  try {
    const problem = await response.json();
    if (typeof problem?.code === 'string') return problem;
  } catch {
    // No JSON: something between us and the service answered.
  }
  return {
    code: `HTTP_${response.status}`,
    title: `Status ${response.status}`,
    detail: `The answer was ${response.status}.`,
  };
}

async function newToken(refused) {
  if (token !== refused) return; // another request was faster
  asking ??= askForToken(refused !== '').finally(() => {
    asking = null;
  });
  const given = await asking;
  if (given === undefined) {
    throw new ApiError(401, {
      code: 'UNAUTHORIZED',
      title: 'A token is needed',
      detail: 'A token is needed to see the figures.',
    });
  }
  token = given;
  try {
    sessionStorage.setItem(KEY, given);
  } catch {
    // Asked again on the next page, then.
  }
}

const address = (path, parameters = {}) => {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters))
    if (value !== undefined && value !== null && value !== '') query.set(name, String(value));
  const text = query.toString();
  return text === '' ? path : `${path}?${text}`;
};

export async function get(path, parameters, signal) {
  const response = await request(address(path, parameters), { signal });
  return response.json();
}

/** undefined where there is no such thing (404). */
export async function find(path, parameters, signal) {
  try {
    return await get(path, parameters, signal);
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return undefined;
    throw error;
  }
}

export async function send(method, path, body) {
  const response = await request(path, {
    method,
    ...(body === undefined
      ? {}
      : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return text === '' ? undefined : JSON.parse(text);
}

/**
 * Follows a feed of server-sent events until the signal aborts; `fetch`, since an EventSource sends no token.
 * Resumes after a break where it was. `on.event(type, data)`, `on.state('open' | 'closed', error?)`.
 */
export async function follow(path, { signal, on, retryMs = 1_000 }) {
  let lastId = '';
  while (!signal.aborted) {
    let failure;
    try {
      const response = await request(path, {
        signal,
        headers: {
          accept: 'text/event-stream',
          ...(lastId === '' ? {} : { 'last-event-id': lastId }),
        },
      });
      on.state('open');
      for await (const { id, type, data } of eventsOf(response.body)) {
        if (id !== '') lastId = id;
        if (data !== '') on.event(type, data);
      }
    } catch (error) {
      if (signal.aborted) return;
      // A feed that breaks off in its midst is told like one that never began.
      failure = error instanceof ApiError ? error : noAnswer();
    }
    if (signal.aborted) return;
    on.state('closed', failure);
    await new Promise((resolve) => setTimeout(resolve, retryMs));
  }
}

async function* eventsOf(body) {
  const decoder = new TextDecoder();
  const reader = body.getReader();
  let rest = '';
  let event = { id: '', type: 'message', data: '' };
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + decoder.decode(value, { stream: true })).split('\n');
    rest = lines.pop();
    for (const line of lines) {
      if (line === '') {
        yield event;
        event = { id: event.id, type: 'message', data: '' };
      } else if (line.startsWith('data: ')) event.data += line.slice(6);
      else if (line.startsWith('id: ')) event.id = line.slice(4);
      else if (line.startsWith('event: ')) event.type = line.slice(7);
    }
  }
}
