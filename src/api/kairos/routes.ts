/** The table of KairosDB's paths, so that a known path with another method is told which ones there are. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { accepts } from './answers.ts';

type Method = 'GET' | 'POST' | 'DELETE' | 'PUT';
export type Handler = (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply>;

/** What a server may have switched off, as `kairosdb.server.type` does. */
export type KairosGroup = 'INGEST' | 'QUERY' | 'DELETE';

export interface KairosRoute {
  /** Below `/api/v1`. */
  readonly path: string;
  readonly summary: string;
  readonly group?: KairosGroup;
  /** Answers OPTIONS as KairosDB's own preflight does. */
  readonly preflight?: boolean;
  /** Answers as text/plain, too, to who asks for that. */
  readonly alsoPlain?: boolean;
  readonly handlers: Partial<Record<Method, Handler>>;
}

/** KairosDB's order. */
const ALLOW_ORDER = ['HEAD', 'DELETE', 'POST', 'GET', 'OPTIONS', 'PUT'] as const;
/** Answered by the server otherwise; asked with them, a path says what it does offer. */
const OTHER_METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE'] as const;

export function addRoutes(
  app: FastifyInstance,
  routes: readonly KairosRoute[],
  isOn: (group: KairosGroup) => boolean,
): void {
  for (const { path, summary, group, preflight, alsoPlain = false, handlers: given } of routes) {
    const isOff = group !== undefined && !isOn(group);
    const handlers = isOff ? forbidden(given, group) : given;
    const offered = Object.keys(handlers) as Method[];
    const allow = ALLOW_ORDER.filter(
      (method) =>
        method === 'OPTIONS' ||
        (method === 'HEAD' ? handlers.GET !== undefined : offered.includes(method)),
    ).join(',');
    const optionsFirst = [
      'OPTIONS',
      ...allow.split(',').filter((each) => each !== 'OPTIONS'),
    ].join();
    // The root's prefix comes with and without it.
    for (const url of path === '/' ? [path] : [path, `${path}/`]) {
      const schema = { summary, tags: ['kairosdb'], hide: url !== path };
      for (const method of offered) {
        app.route({
          method,
          url,
          schema,
          compress: false,
          decompress: false,
          preHandler: alsoPlain ? [refuseCutOff, mayBePlain] : [refuseCutOff, mustBeJson],
          handler: handlers[method] as Handler,
        });
      }
      const hidden = { schema: { hide: true }, compress: false, decompress: false } as const;
      for (const method of OTHER_METHODS) {
        if (offered.includes(method as Method)) continue;
        const isPreflight = method === 'OPTIONS' && preflight === true;
        const handler: Handler = isPreflight
          ? answerPreflight
          : async (_request, reply) =>
              method === 'OPTIONS'
                ? reply.code(200).header('allow', optionsFirst).send()
                : reply.code(405).header('allow', allow).send();
        const preHandler = isPreflight ? [refuseCutOff, mustBeJson] : [refuseCutOff];
        app.route({ method, url, ...hidden, preHandler, handler });
      }
    }
  }
}

/** A path that ends before its last part is none of KairosDB's. */
async function refuseCutOff({ params }: FastifyRequest, reply: FastifyReply) {
  if (Object.values(params as Record<string, string>).includes('')) return reply.code(404).send();
}

const mustTake =
  (...types: readonly string[]) =>
  async (request: FastifyRequest, reply: FastifyReply) => {
    if (!types.some((type) => accepts(request, type))) return reply.code(406).send();
  };
const mustBeJson = mustTake('application/json');
const mayBePlain = mustTake('application/json', 'text/plain');

/** KairosDB's answer where its own server type has the group off, word for word. */
function forbidden(handlers: KairosRoute['handlers'], group: KairosGroup): KairosRoute['handlers'] {
  const text = `{"errors": ["Forbidden: ${group} API methods are disabled on this KairosDB instance."]}`;
  const refuse: Handler = async (_request, reply) =>
    reply.code(403).header('content-type', 'application/json').send(Buffer.from(text));
  return Object.fromEntries(Object.keys(handlers).map((method) => [method, refuse]));
}

/** The underscore in the last header is KairosDB's. */
async function answerPreflight(
  { headers }: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  reply.headers({
    'access-control-allow-origin': '*',
    'access-control-max-age': '86400',
    'content-type': 'application/json;charset=utf-8',
  });
  const asked = headers['access-control-request-headers'];
  if (asked !== undefined) reply.header('access-control-allow-headers', asked);
  const method = headers['access-control-request-method'];
  if (method !== undefined) reply.header('access-control-allow_method', method);
  return reply.code(200).send();
}
