/** Turns everything that goes wrong into problem JSON: handlers, validation, routing, and the socket itself. */
import type { Socket } from 'node:net';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { type Logger, nearest } from '../runtime/index.ts';
import { catalogue, problemOf, Refusal, refusalOf } from './errors.ts';
import { type Route, unrouted } from './routes.ts';

// Importing node:http reads all its exports, and one of them loads another HTTP client with all it needs (0056).
const { STATUS_CODES } = process.getBuiltinModule('node:http');

const PROBLEM_TYPE = 'application/problem+json; charset=utf-8';

export function answerProblems(
  app: FastifyInstance,
  { logger, routes }: { readonly logger: Logger; readonly routes: readonly Route[] },
): void {
  app.setErrorHandler((error, request, reply) => {
    const refusal = validationRefusal(error) ?? refusalOf(error);
    if (refusal.code === 'INTERNAL') {
      logger.error({ err: error, method: request.method, path: request.url }, 'a request failed');
    }
    return sendProblem(reply, refusal, request);
  });
  app.setNotFoundHandler((request, reply) =>
    sendProblem(reply, unrouted(routes, request.method, request.url), request),
  );
}

/** Ajv turns a text such as 1e999 into Infinity, which then passes every minimum and maximum. */
export function refuseInfinity(app: FastifyInstance): void {
  app.addHook('preHandler', async ({ query }) => {
    for (const [field, value] of Object.entries(query as object)) {
      if (typeof value !== 'number' || Number.isFinite(value)) continue;
      const message = `${field}: must be a finite number`;
      throw new Refusal('FIELD_INVALID', message, { errors: [{ field, message }] });
    }
  });
}

/** For errors before any hook or handler: a URL that can't be decoded. */
export function answerFrameworkError(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  void sendProblem(reply, refusalOf(error), request);
}

/** For bytes that are no HTTP request; there is no reply object yet. */
export function answerClientError(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy();
  const status = clientErrorStatus[error.code ?? ''] ?? 400;
  const body = JSON.stringify({
    ...problemOf(new Refusal('BAD_REQUEST', 'these bytes are no HTTP request'), ''),
    status,
    title: STATUS_CODES[status],
  });
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\ncontent-type: ${PROBLEM_TYPE}\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}

const clientErrorStatus: Readonly<Record<string, number>> = {
  HPE_HEADER_OVERFLOW: 431,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
};

function sendProblem(reply: FastifyReply, refusal: Refusal, request: FastifyRequest): FastifyReply {
  return reply
    .code(catalogue[refusal.code].status)
    .headers(refusal.headers)
    .type(PROBLEM_TYPE)
    .serializer(String)
    .send(JSON.stringify(problemOf(refusal, request.url)));
}

interface SchemaFault {
  readonly instancePath: string;
  readonly message?: string;
  readonly params?: {
    additionalProperty?: string;
    missingProperty?: string;
    allowedValues?: string[];
  };
  readonly parentSchema?: { properties?: Record<string, unknown> };
}

/** A body or query that does not fit its schema, field by field. */
function validationRefusal(error: unknown): Refusal | undefined {
  const { validation } = error as { validation?: readonly SchemaFault[] };
  if (validation === undefined) return undefined;
  const errors = validation.map((fault) => {
    const at = fault.instancePath.slice(1).replaceAll('/', '.');
    const extra = fault.params?.additionalProperty;
    const field = [at, extra ?? fault.params?.missingProperty].filter(Boolean).join('.');
    return { field, message: `${field || 'body'}: ${faultMessage(fault, extra)}` };
  });
  return new Refusal('FIELD_INVALID', errors.map(({ message }) => message).join('; '), { errors });
}

function faultMessage({ params, message, parentSchema }: SchemaFault, extra?: string): string {
  if (extra !== undefined) {
    const near = nearest(extra, Object.keys(parentSchema?.properties ?? {}));
    return `no such field${near === undefined ? '' : `; did you mean ${near}?`}`;
  }
  if (params?.missingProperty !== undefined) return 'is missing';
  if (params?.allowedValues !== undefined)
    return `must be one of ${params.allowedValues.join(', ')}`;
  return message ?? 'is wrong';
}
