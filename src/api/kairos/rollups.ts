/** Rollup tasks: written, listed, deleted; how their last run went; a range made anew by hand (spec §7). */
import { randomUUID } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import {
  backfillTask,
  backfillTime,
  RollupTasks,
  RunFailed,
  statusJson,
} from '../../jobs/index.ts';
import { gsonText, parseRollupTask, QueryFailed } from '../../query/index.ts';
import { sendFailure, sendJson, sendNothing } from './answers.ts';
import { textOf } from './body-text.ts';
import type { KairosContext } from './context.ts';
import type { Handler, KairosRoute } from './routes.ts';

export function rollupRoutes({ store, clock }: KairosContext): readonly KairosRoute[] {
  const tasks = new RollupTasks(store.rows);
  const handle =
    (
      action: (request: FastifyRequest, reply: FastifyReply, id: string) => Promise<FastifyReply>,
    ): Handler =>
    async (request, reply) => {
      await store.connect();
      return action(request, reply, (request.params as { id?: string }).id ?? '');
    };
  const unknown = (reply: FastifyReply, id: string, noun = 'Resource') =>
    sendFailure(reply, `${noun} not found for id ${id}`, 404);
  const named = (request: FastifyRequest, reply: FastifyReply, id: string, name: string) =>
    sendJson(request, reply, gsonText({ id, name, attributes: { url: `/api/v1/rollups/${id}` } }));
  return [
    {
      path: '/rollups',
      summary: 'Rollup tasks',
      handlers: {
        GET: handle(async (request, reply) => {
          const texts = (await tasks.list()).map(({ json }) => json).filter(isJson);
          return sendJson(request, reply, `[${texts.join(',')}]`);
        }),
        POST: handle(async (request, reply) => {
          const document = parseRollupTask(textOf(request), clock.now());
          const id = document.id === undefined || document.id === '' ? randomUUID() : document.id;
          await tasks.put(id, document.textWith(id));
          return named(request, reply, id, document.task.name);
        }),
      },
    },
    {
      path: '/rollups/:id',
      summary: 'One rollup task',
      handlers: {
        GET: handle(async (request, reply, id) => {
          const found = await tasks.get(id);
          if (found === undefined) return unknown(reply, id);
          if (!isJson(found.json)) throw new QueryFailed(`What is stored as task ${id} is no JSON`);
          return sendJson(request, reply, found.json);
        }),
        PUT: handle(async (request, reply, id) => {
          if ((await tasks.get(id)) === undefined) return unknown(reply, id);
          const document = parseRollupTask(textOf(request), clock.now());
          await tasks.put(id, document.textWith(id));
          return named(request, reply, id, document.task.name);
        }),
        DELETE: handle(async (_request, reply, id) => {
          if ((await tasks.get(id)) === undefined) return unknown(reply, id);
          await tasks.delete(id);
          return sendNothing(reply);
        }),
      },
    },
    {
      path: '/rollups/status/:id',
      summary: 'How the last run of a rollup task went',
      handlers: {
        GET: handle(async (request, reply, id) => {
          const status = await tasks.status(id);
          if (status === undefined) return unknown(reply, id, 'Status');
          return sendJson(request, reply, statusJson(status));
        }),
      },
    },
    {
      path: '/rollups/backfill/:id',
      summary: 'Makes the points of a rollup task for a range of time anew',
      handlers: {
        GET: handle(async (request, reply, id) => {
          const { startTime, endTime } = request.query as { startTime?: string; endTime?: string };
          if (startTime === undefined) throw new QueryFailed('startTime must be specified');
          const fromMs = dateOf(startTime);
          const toMs = endTime === undefined ? clock.now() : dateOf(endTime);
          const found = await tasks.get(id);
          if (found === undefined) return unknown(reply, id);
          // Whoever asked and went away wants no more of it.
          const gone = new AbortController();
          reply.raw.once('close', () => gone.abort(new Error('the client went away')));
          try {
            await backfillTask(found, { fromMs, toMs }, { store, clock, signal: gone.signal });
          } catch (error) {
            throw error instanceof RunFailed ? (error.cause ?? error) : error;
          }
          return sendNothing(reply);
        }),
      },
    },
  ];
}

/** A Java KairosDB makes texts that are none of tasks sent with an empty id. */
function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function dateOf(text: string): number {
  const ms = backfillTime(text);
  if (ms === undefined) throw new QueryFailed(`Unparseable date: "${text}"`);
  return ms;
}
