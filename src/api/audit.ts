/**
 * The audit log [S6]: who changed what, when, with what outcome, one line each. A token is told by the beginning of
 * its hash, never by itself; paths are logged, bodies and query strings are not. Records and data points published,
 * and questions asked by POST, are no changes of state in this sense: metrics count them.
 */
import { createHash } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import type { Logger } from '../runtime/index.ts';

const READING: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);
const DATA: ReadonlySet<string> = new Set([
  '/v1/topics/:topic/records',
  '/api/v1/datapoints',
  '/api/v1/datapoints/query',
  '/api/v1/datapoints/query/tags',
]);
const PATH_CHARS_MAX = 500;

export function auditChanges(app: FastifyInstance, logger: Logger): void {
  app.addHook('onResponse', async (request, reply) => {
    const { method, url, ip, headers, routeOptions } = request;
    if (READING.has(method) || DATA.has(routeOptions.url ?? '')) return;
    const path = (url.split('?', 1)[0] as string).slice(0, PATH_CHARS_MAX);
    const entry = { who: whoOf(headers.authorization), from: ip, method, path };
    logger.info({ audit: { ...entry, status: reply.statusCode } }, 'state changed over HTTP');
  });
}

/** `token:` and 12 digits of the SHA-256 of what was sent, known or not; else `anonymous`. */
function whoOf(authorization: string | undefined): string {
  const token = /^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1];
  if (token === undefined) return 'anonymous';
  return `token:${createHash('sha256').update(token).digest('hex').slice(0, 12)}`;
}
