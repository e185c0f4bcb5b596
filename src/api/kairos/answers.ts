/** KairosDB's answers: its headers, its `errors`, gzip for whoever takes it. Bodies are bytes, so that nothing is added. */
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { FastifyReply, FastifyRequest } from 'fastify';

const compress = promisify(gzip);

const JSON_TYPE = 'application/json;charset=utf-8';

/** On every answer but those to wrong requests. */
const NO_CACHE = {
  'access-control-allow-origin': '*',
  pragma: 'no-cache',
  'cache-control': 'no-cache',
  expires: '0',
} as const;

/** A body as JSON, packed when the client takes gzip. */
export async function sendJson(
  request: FastifyRequest,
  reply: FastifyReply,
  parts: string | readonly string[],
  status = 200,
): Promise<FastifyReply> {
  const body = Buffer.from(typeof parts === 'string' ? parts : parts.join(''));
  reply.code(status).headers({ ...NO_CACHE, 'content-type': JSON_TYPE });
  // The filter that packs knows these two methods.
  const isPackable = request.method === 'GET' || request.method === 'POST';
  if (status === 200 && isPackable) reply.header('vary', 'Accept-Encoding, User-Agent');
  if (!isPackable || body.length === 0 || !takesGzip(request)) return reply.send(body);
  return reply.header('content-encoding', 'gzip').send(await compress(body));
}

/** A text as it is. */
export const sendPlain = (reply: FastifyReply, text: string, status: number): FastifyReply =>
  reply
    .code(status)
    .headers({ ...NO_CACHE, 'content-type': 'text/plain;charset=utf-8' })
    .send(Buffer.from(text));

export const sendNothing = (reply: FastifyReply, status = 204): FastifyReply =>
  reply
    .code(status)
    .headers({ ...NO_CACHE, 'content-type': JSON_TYPE })
    .send();

/** 400, and 404 of a feature: the request is wrong. */
export const sendRefusal = (
  reply: FastifyReply,
  errors: readonly string[],
  status = 400,
): FastifyReply =>
  reply
    .code(status)
    .headers({ 'access-control-allow-origin': '*', 'content-type': 'application/json' })
    .send(Buffer.from(JSON.stringify({ errors })));

/** 500: answering failed. */
export const sendFailure = (
  reply: FastifyReply,
  reason: string | null,
  status = 500,
): FastifyReply =>
  reply
    .code(status)
    .headers({ ...NO_CACHE, 'content-type': JSON_TYPE })
    .send(Buffer.from(JSON.stringify({ errors: [reason] })));

export const takesGzip = ({ headers }: FastifyRequest): boolean =>
  /(?<![\w-])gzip\b(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))/i.test(
    String(headers['accept-encoding'] ?? ''),
  );

/** Whether an Accept header lets this type through. */
export function accepts({ headers }: FastifyRequest, type: string): boolean {
  const given = headers.accept;
  if (given === undefined || given.trim() === '') return true;
  const [group] = type.split('/') as [string];
  return given.split(',').some((range) => {
    // KairosDB does not look at the quality that follows, not even at 0.
    const name = range.split(';')[0]?.trim().toLowerCase();
    return name === '*/*' || name === '*' || name === `${group}/*` || name === type;
  });
}

/** Aborts when whoever asked is gone: reading for nobody stops. */
export function goneSignal(reply: FastifyReply): AbortSignal {
  const gone = new AbortController();
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) gone.abort(new Error('the client went away'));
  });
  return gone.signal;
}
