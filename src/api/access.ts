/** Who is let in: bearer tokens when there are any, and no writing for other web pages. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Secret } from '../runtime/index.ts';
import { Refusal } from './errors.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Asks nobody for a token: it holds no data. */
    open?: boolean;
  }
}

/** Probes must work without a secret, and however often others ask. */
const OPEN_PATHS: ReadonlySet<string> = new Set([
  '/health',
  '/ready',
  '/api/v1/health/check',
  '/api/v1/health/status',
]);
export const isProbe = ({ url }: FastifyRequest): boolean =>
  OPEN_PATHS.has(url.replace(/\/?(?:\?.*)?$/s, ''));

const READING: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

export function guardAccess(
  app: FastifyInstance,
  options: { readonly tokens: readonly Secret[]; readonly corsOrigins: readonly string[] },
): void {
  const { tokens, corsOrigins } = options;
  app.addHook('onRequest', async (request) => {
    const isOpen = request.routeOptions.config.open === true || isProbe(request);
    if (tokens.length > 0 && !isOpen) {
      requireToken(request, tokens);
    }
    // A page anywhere may send a plain form post to this machine; browsers name the page in Origin.
    const { origin, host } = request.headers;
    if (origin === undefined || READING.has(request.method)) return;
    if (corsOrigins.includes('*') || corsOrigins.includes(origin)) return;
    if (URL.canParse(origin) && new URL(origin).host === host) return;
    throw new Refusal('ORIGIN_REFUSED', `pages of ${JSON.stringify(origin)} may not write here`);
  });
}

function requireToken(request: FastifyRequest, tokens: readonly Secret[]): void {
  const match = /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? '');
  const given = match?.[1] ?? '';
  // Every token is compared, so that time tells nothing of which one was near.
  let known = false;
  for (const token of tokens) known = token.matches(given) || known;
  if (known) return;
  const why = match === null ? 'no bearer token was sent' : 'the bearer token is not known';
  throw new Refusal('UNAUTHORIZED', why, { headers: { 'www-authenticate': 'Bearer' } });
}
