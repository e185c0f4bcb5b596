/** The metadata service: texts by service, service key and key. Services that begin with `_` are the server's own. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { accepts, sendFailure, sendJson, sendNothing, sendPlain } from './answers.ts';
import { resultsText } from './names.ts';
import type { KairosPort } from './port.ts';
import type { Handler, KairosRoute } from './routes.ts';

interface Place {
  readonly service: string;
  readonly serviceKey: string;
  readonly key: string;
}

export function metadataRoutes(store: KairosPort): readonly KairosRoute[] {
  const handle =
    (
      action: (request: FastifyRequest, reply: FastifyReply, place: Place) => Promise<FastifyReply>,
    ): Handler =>
    async (request, reply) => {
      const place = request.params as Place;
      if (place.service.startsWith('_')) return sendNothing(reply, 401);
      await store.connect();
      return action(request, reply, place);
    };
  return [
    {
      path: '/metadata/:service',
      summary: 'Service keys',
      handlers: {
        GET: handle(async (request, reply, { service }) =>
          sendJson(request, reply, resultsText(await store.rows.serviceKeys(service))),
        ),
      },
    },
    {
      path: '/metadata/:service/:serviceKey',
      summary: 'Keys of a service key',
      handlers: {
        GET: handle(async (request, reply, { service, serviceKey }) => {
          const { startsWith = '' } = request.query as { startsWith?: string };
          const keys = await store.rows.keysOfService(service, serviceKey, startsWith);
          return sendJson(request, reply, resultsText(keys));
        }),
      },
    },
    {
      path: '/metadata/:service/:serviceKey/:key',
      summary: 'One text',
      handlers: {
        GET: handle(async (request, reply, { service, serviceKey, key }) => {
          const found = await store.rows.readServiceValue(service, serviceKey, key);
          const asJson = accepts(request, 'application/json');
          if (found !== undefined && asJson) return sendJson(request, reply, found.value);
          if (asJson) return sendFailure(reply, 'Key not found', 404);
          return sendPlain(reply, found?.value ?? '', found === undefined ? 404 : 200);
        }),
        POST: handle(async ({ body }, reply, { service, serviceKey, key }) => {
          await store.rows.writeServiceValue(service, serviceKey, key, String(body ?? ''));
          return sendNothing(reply);
        }),
        DELETE: handle(async (_request, reply, { service, serviceKey, key }) => {
          await store.rows.deleteServiceValue(service, serviceKey, key);
          return sendNothing(reply);
        }),
      },
    },
  ];
}
