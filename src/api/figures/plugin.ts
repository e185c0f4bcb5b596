/**
 * The figures as server-sent events, for the dashboard and whoever else wants to watch the engine itself. A
 * watcher that reads too slowly gets fewer samples, always the newest, never a queue of old ones.
 */
import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import type { FastifyInstance } from 'fastify';
import type { Static } from 'typebox';
import { Type } from '../../runtime/index.ts';
import type { ApiContext } from '../context.ts';
import { Refusal } from '../errors.ts';
import { problems, query } from '../schemas.ts';
import { KEPT_SAMPLES, Sampler, type Taken } from './sampler.ts';

/** Each costs a write twice a second. */
const WATCHERS_MAX = 200;
/** A watcher whose socket took nothing for so long is gone. */
const STUCK_MS = 30_000;

const StreamQuery = query({
  last: Type.Integer({
    minimum: 0,
    maximum: KEPT_SAMPLES,
    default: 0,
    description: 'Begin with so many samples of the past, one per second.',
  }),
});

export async function figures(app: FastifyInstance, context: ApiContext): Promise<void> {
  const { engine, clock, logger } = context;
  const sampler = new Sampler(engine, clock, logger);
  /** Sequence numbers begin anew with each process. */
  const life = randomUUID().replaceAll('-', '');
  const stop = sampler.start();
  app.addHook('preClose', async () => stop());

  app.get<{ Querystring: Static<typeof StreamQuery> }>(
    '/v1/live/stream',
    {
      schema: {
        summary: 'The engine’s figures as they change: server-sent events',
        description:
          'Twice a second an event `sample`: rates, lag and watermark of each topology, rates of topics, the networks as they stand, the sinks’ backlogs. Last-Event-ID resumes with the samples of the last five minutes. Whoever reads too slowly gets the newest sample only.',
        tags: ['live'],
        produces: ['text/event-stream'],
        querystring: StreamQuery,
        response: { 200: Type.String(), ...problems(422, 429) },
      },
    },
    async (request, reply) => {
      if (sampler.watchers >= WATCHERS_MAX) {
        throw new Refusal('TOO_MANY_WATCHERS', `${WATCHERS_MAX} watch already`, {
          headers: { 'retry-after': '10' },
        });
      }
      const past = resumed(request.headers['last-event-id']) ?? sampler.last(request.query.last);
      if (request.raw.socket.destroyed) return reply;
      reply.hijack();
      const { raw } = reply;
      raw.writeHead(200, {
        ...(reply.getHeaders() as Record<string, string>),
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-cache, no-transform',
        'x-accel-buffering': 'no',
      });
      raw.write(`retry: 1000\n\n${past.map(eventOf).join('')}`);
      const watcher = new Watcher(raw, eventOf);
      const unwatch = sampler.watch((taken) => {
        if (!watcher.offer(taken, clock.now())) raw.destroy();
      });
      const end = () => {
        unwatch();
        context.stopping.removeEventListener('abort', end);
        raw.end();
      };
      raw.once('close', end);
      context.stopping.addEventListener('abort', end);
      if (context.stopping.aborted) end();
      return reply;
    },
  );

  const eventOf = ({ sample, json }: Taken): string =>
    `id: ${life}-${sample.seq.toString(36)}\nevent: sample\ndata: ${json}\n\n`;

  /** undefined when the id is not of this life, or too old: then it begins like a new one. */
  function resumed(header: string | string[] | undefined): readonly Taken[] | undefined {
    const match = /^(\w+)-([0-9a-z]{1,10})$/.exec(typeof header === 'string' ? header : '');
    if (match?.[1] !== life) return undefined;
    return sampler.after(Number.parseInt(match[2] as string, 36));
  }
}

/** One socket: a sample waits only for the one before it, and then the newest goes out. */
export class Watcher {
  readonly #response: Pick<ServerResponse, 'write' | 'once' | 'writableNeedDrain'>;
  readonly #eventOf: (taken: Taken) => string;
  #waiting: Taken | undefined;
  #fullSinceMs: number | undefined;

  constructor(
    response: Pick<ServerResponse, 'write' | 'once' | 'writableNeedDrain'>,
    eventOf: (taken: Taken) => string,
  ) {
    this.#response = response;
    this.#eventOf = eventOf;
    if (response.writableNeedDrain) this.#full(undefined);
  }

  /** false: it has taken nothing for too long. */
  offer(taken: Taken, nowMs: number): boolean {
    if (this.#waiting !== undefined || this.#isFull) {
      this.#waiting = taken;
      this.#fullSinceMs ??= nowMs;
      return nowMs - this.#fullSinceMs < STUCK_MS;
    }
    if (!this.#response.write(this.#eventOf(taken))) this.#full(nowMs);
    return true;
  }

  #isFull = false;

  #full(nowMs: number | undefined): void {
    this.#isFull = true;
    this.#fullSinceMs = nowMs;
    this.#response.once('drain', () => {
      this.#isFull = false;
      this.#fullSinceMs = undefined;
      const newest = this.#waiting;
      this.#waiting = undefined;
      if (newest !== undefined && !this.#response.write(this.#eventOf(newest))) this.#full(nowMs);
    });
  }
}
