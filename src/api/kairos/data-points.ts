/** Storing and deleting points. */
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { parseQuery, QueryFailed, QueryRefused, rowQueryOf } from '../../query/index.ts';
import { sendNothing, sendRefusal } from './answers.ts';
import { readDataPoints } from './data-points-body.ts';
import type { KairosContext } from './plugin.ts';
import type { KairosRoute } from './routes.ts';

const unpack = promisify(gunzip);

/** Unpacked; more is refused, so that a few kilobytes can't fill the memory. */
const UNPACKED_BYTES_MAX = 256 * 1_024 * 1_024;

export function dataPointRoutes({ store, clock }: KairosContext): readonly KairosRoute[] {
  return [
    {
      path: '/datapoints',
      summary: 'Stores points; they are durable when it answers',
      preflight: true,
      handlers: {
        async POST(request, reply) {
          const { points, errors, fault } = readDataPoints((await bodyOf(request)).toString());
          await store.connect();
          const rejections = points.length === 0 ? [] : await store.write(points);
          if (fault !== undefined) throw fault;
          const reasons = [...errors, ...rejections.map(({ message }) => message)];
          return reasons.length === 0 ? sendNothing(reply) : sendRefusal(reply, reasons);
        },
      },
    },
    {
      path: '/datapoints/index',
      summary: 'Nothing to do: tags are indexed as points are stored',
      handlers: {
        async GET({ query }, reply) {
          const {
            start_absolute: start,
            end_absolute: end,
            metric,
          } = query as Record<string, string>;
          const isTime = (text: string | undefined) => /^[+-]?\d+$/.test(text ?? '');
          if (isTime(start) && isTime(end) && metric !== undefined) return sendNothing(reply);
          throw new QueryFailed(null);
        },
      },
    },
    {
      path: '/datapoints/delete',
      summary: 'Deletes the points that a query names',
      preflight: true,
      handlers: {
        async POST(request, reply) {
          const { metrics } = parseQuery(String(request.body ?? ''), clock.now());
          await store.connect();
          for (const metric of metrics) await store.deletePoints(rowQueryOf(metric));
          return sendNothing(reply);
        },
      },
    },
    {
      path: '/metric/:name',
      summary: 'Deletes a metric with all its points',
      preflight: true,
      handlers: { DELETE: deleteMetric },
    },
  ];

  async function deleteMetric(request: FastifyRequest, reply: FastifyReply) {
    await store.connect();
    await store.deleteMetric((request.params as { name: string }).name);
    return sendNothing(reply);
  }
}

/** Packed when one of two headers says so; they answer differently to what is not. */
async function bodyOf({ body, headers }: FastifyRequest): Promise<Buffer> {
  const bytes = Buffer.isBuffer(body) ? body : Buffer.alloc(0);
  const byType = /^application\/gzip\b/i.test(headers['content-type'] ?? '');
  if (!byType && headers['content-encoding'] !== 'gzip') return bytes;
  try {
    return await unpack(bytes, { maxOutputLength: UNPACKED_BYTES_MAX });
  } catch (error) {
    const { code } = error as { code?: string };
    if (code === 'ERR_BUFFER_TOO_LARGE') {
      throw new QueryRefused(`unpacked the body has more than ${UNPACKED_BYTES_MAX} bytes`);
    }
    throw byType ? new QueryRefused('Not in GZIP format') : new QueryFailed('Not in GZIP format');
  }
}
