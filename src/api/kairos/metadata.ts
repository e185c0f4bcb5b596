/** The metadata service: texts by service, service key and key. Services that begin with `_` are the server's own. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { QueryDesk } from '../../query/index.ts';
import { accepts, goneSignal, sendFailure, sendJson, sendNothing, sendPlain } from './answers.ts';
import { resultsText } from './names.ts';
import type { KairosPort } from './port.ts';
import type { Handler, KairosRoute } from './routes.ts';

interface Place {
  readonly service: string;
  readonly serviceKey: string;
  readonly key: string;
}

export function metadataRoutes(store: KairosPort, desk: QueryDesk): readonly KairosRoute[] {
  /** Every one of them may be asked for again after a failure: what is written lands on itself. */
  const handle =
    <T>(
      ask: (place: Place, request: FastifyRequest) => Promise<T>,
      answer: (
        found: T,
        request: FastifyRequest,
        reply: FastifyReply,
      ) => FastifyReply | Promise<FastifyReply>,
    ): Handler =>
    async (request, reply) => {
      const place = request.params as Place;
      if (place.service.startsWith('_')) return sendNothing(reply, 401);
      const found = await desk.lookUp('metadata', goneSignal(reply), () => ask(place, request));
      return answer(found, request, reply);
    };
  return [
    {
      path: '/metadata/:service',
      summary: 'Service keys',
      handlers: {
        GET: handle(
          ({ service }) => store.rows.serviceKeys(service),
          (keys, request, reply) => sendJson(request, reply, resultsText(keys)),
        ),
      },
    },
    {
      path: '/metadata/:service/:serviceKey',
      summary: 'Keys of a service key',
      handlers: {
        GET: handle(
          ({ service, serviceKey }, request) => {
            const { startsWith = '' } = request.query as { startsWith?: string };
            return store.rows.keysOfService(service, serviceKey, startsWith);
          },
          (keys, request, reply) => sendJson(request, reply, resultsText(keys)),
        ),
      },
    },
    {
      path: '/metadata/:service/:serviceKey/:key',
      alsoPlain: true,
      summary: 'One text',
      handlers: {
        GET: handle(
          ({ service, serviceKey, key }) => store.rows.readServiceValue(service, serviceKey, key),
          (found, request, reply) => {
            const asJson = accepts(request, 'application/json');
            if (found !== undefined && asJson) return sendJson(request, reply, found.value);
            if (asJson) return sendFailure(reply, 'Key not found', 404);
            return sendPlain(reply, found?.value ?? '', found === undefined ? 404 : 200);
          },
        ),
        POST: handle(
          ({ service, serviceKey, key }, { body }) =>
            store.rows.writeServiceValue(service, serviceKey, key, String(body ?? '')),
          (_done, _request, reply) => sendNothing(reply),
        ),
        DELETE: handle(
          ({ service, serviceKey, key }) => store.rows.deleteServiceValue(service, serviceKey, key),
          (_done, _request, reply) => sendNothing(reply),
        ),
      },
    },
  ];
}
