/** Storing and deleting points. */
import { promisify } from 'node:util';
import { constants, gunzip } from 'node:zlib';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { RetriableError } from '../../model/index.ts';
import { parseQuery, QueryFailed, QueryRefused, rowQueryOf } from '../../query/index.ts';
import { sendNothing, sendRefusal } from './answers.ts';
import { textOf } from './body-text.ts';
import type { KairosContext } from './context.ts';
import { readDataPoints } from './data-points-body.ts';
import { FastBody } from './fast-body.ts';
import type { Draft, KairosIngest } from './ingest.ts';
import type { KairosRoute } from './routes.ts';

const unpack = promisify(gunzip);

/** Unpacked; more is refused, so that a few kilobytes can't fill the memory. */
const UNPACKED_BYTES_MAX = 256 * 1_024 * 1_024;

const GZIP_TYPE = /^\s*(?:\*\/|application\/(?:gzip|\*)\s*(?:;|$))/i;
/** Its mark, and deflate, the only method there is. */
const GZIP_START = Buffer.from([0x1f, 0x8b, 8]);
const GZIP_HEADER_BYTES = 10;
/** The sum and the length of what is packed. */
const GZIP_TRAILER_BYTES = 8;

export function dataPointRoutes({ store, ingest, clock }: KairosContext): readonly KairosRoute[] {
  // Without a log behind it these routes are switched off, and nobody comes here.
  const log = ingest as KairosIngest;
  const reader = ingest && new BodyReader(ingest.draft);
  return [
    {
      path: '/datapoints',
      summary:
        'Takes points; they are durable in the log when it answers, and in the store soon after',
      group: 'INGEST',
      preflight: true,
      handlers: {
        async POST(request, reply) {
          if (log.busy) throw tooBusy();
          const body = await bodyOf(request);
          const { reasons, fault } = (reader as BodyReader).read(body);
          await log.accept(log.draft);
          if (fault !== undefined) throw fault;
          return reasons.length === 0 ? sendNothing(reply) : sendRefusal(reply, reasons);
        },
      },
    },
    {
      path: '/datapoints/index',
      summary: 'Writes the tag index of what was stored before it was switched on',
      group: 'INGEST',
      handlers: {
        async GET({ query }, reply) {
          const {
            start_absolute: start,
            end_absolute: end,
            metric,
          } = query as Record<string, string>;
          if (!start || !end || metric === undefined) throw new QueryFailed(null);
          const isTime = (text: string) => /^[+-]?\d{1,19}$/.test(text);
          if (!isTime(start) || !isTime(end)) return reply.code(404).send();
          await store.connect();
          await store.indexTags({ metric, fromMs: Number(start), toMs: Number(end) + 1 });
          return sendNothing(reply);
        },
      },
    },
    {
      path: '/datapoints/delete',
      summary: 'Deletes the points that a query names',
      group: 'DELETE',
      preflight: true,
      handlers: {
        async POST(request, reply) {
          const { metrics } = parseQuery(textOf(request), clock.now());
          // An expression that is none is refused before anything is deleted.
          for (const metric of metrics) rowQueryOf(metric);
          for (const { name, startMs, endMs, tags } of metrics) {
            await log.delete({ metric: name, startMs, endMs, tags, withName: false });
          }
          return sendNothing(reply);
        },
      },
    },
    {
      path: '/metric/:name',
      summary: 'Deletes a metric with all its points',
      group: 'DELETE',
      preflight: true,
      handlers: { DELETE: deleteMetric },
    },
  ];

  async function deleteMetric(request: FastifyRequest, reply: FastifyReply) {
    await log.delete({
      metric: (request.params as { name: string }).name,
      startMs: Number.NEGATIVE_INFINITY,
      endMs: Number.POSITIVE_INFINITY,
      tags: new Map(),
      withName: true,
    });
    return sendNothing(reply);
  }
}

interface BodyOutcome {
  /** Against metrics and points: status 400 when there are any. The others are in the draft. */
  readonly reasons: readonly string[];
  /** What ended the reading early. */
  readonly fault: QueryRefused | QueryFailed | undefined;
}

/** Fills the draft with what is good in a body. */
export class BodyReader {
  readonly #draft: Draft;
  readonly #fast: FastBody;

  constructor(draft: Draft) {
    this.#draft = draft;
    this.#fast = new FastBody(draft);
  }

  read(body: Buffer): BodyOutcome {
    const draft = this.#draft;
    draft.reset();
    if (this.#fast.read(body)) return { reasons: [], fault: undefined };
    const { points, errors, fault } = readDataPoints(body.toString());
    const reasons = [...errors];
    for (const point of points) {
      const reason = draft.add(point);
      if (reason !== undefined) reasons.push(`${point.metric.slice(0, 200)}: ${reason}`);
    }
    return { reasons, fault };
  }
}

const tooBusy = () =>
  new RetriableError('too many points wait for the log: nothing of this request was stored', {
    code: 'INGEST_BUSY',
    retryAfterMs: 1_000,
  });

/**
 * Packed when one of two headers says so; they answer differently to what is not. A type with a wildcard is as good as
 * `application/gzip`, because KairosDB looks for a reader of that one first.
 */
async function bodyOf({ body, headers }: FastifyRequest): Promise<Buffer> {
  const bytes = Buffer.isBuffer(body) ? body : Buffer.alloc(0);
  const byType = GZIP_TYPE.test(headers['content-type'] ?? '');
  if (!byType && headers['content-encoding']?.toLowerCase() !== 'gzip') return bytes;
  try {
    return await unpacked(bytes);
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    if (code === 'ERR_BUFFER_TOO_LARGE') {
      throw new QueryRefused(`unpacked the body has more than ${UNPACKED_BYTES_MAX} bytes`);
    }
    if (hasTail(bytes, message)) throw new QueryRefused('bytes stand behind the packed body');
    const isPacked = message !== 'incorrect header check' && !message.startsWith('unknown');
    if (code === 'Z_DATA_ERROR' && isPacked) throw new QueryFailed(message);
    throw byType ? new QueryRefused('Not in GZIP format') : new QueryFailed('Not in GZIP format');
  }
}

/** Whether what is no packed part of a body stands behind one that is. */
const hasTail = (bytes: Buffer, message: string): boolean =>
  /^(?:incorrect header check|unknown compression method)$/.test(message) &&
  bytes.subarray(0, GZIP_START.length).equals(GZIP_START);

/** Of a body that was cut off all that came, as a plain one is read. Nobody looks at the sum behind a body. */
async function unpacked(bytes: Buffer): Promise<Buffer> {
  const maxOutputLength = UNPACKED_BYTES_MAX;
  try {
    return await unpack(bytes, { maxOutputLength });
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    const isCut = code === 'Z_BUF_ERROR' && bytes.length >= GZIP_HEADER_BYTES;
    if (!isCut && !/^incorrect (?:data|length) check$/.test(message)) throw error;
    const body = isCut ? bytes : bytes.subarray(0, -GZIP_TRAILER_BYTES);
    return unpack(body, { maxOutputLength, finishFlush: constants.Z_SYNC_FLUSH });
  }
}
