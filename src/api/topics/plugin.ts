/** Topics over HTTP: list, publish, page, and the live feed. */
import type { FastifyInstance } from 'fastify';
import type { Static } from 'typebox';
import { TidemarkError } from '../../model/index.ts';
import { Type } from '../../runtime/index.ts';
import type { ApiContext } from '../context.ts';
import { Refusal } from '../errors.ts';
import { nullable, problems, query } from '../schemas.ts';
import { openFeed, runFeed } from './feed.ts';
import { PAGE_LIMIT_MAX, readPage } from './page.ts';
import { isInternal, refuseTopic } from './position.ts';
import { recordsOfJson, recordsOfLines } from './records-body.ts';

const TopicParameters = Type.Object({ topic: Type.String() });

const ListQuery = query({
  internal: Type.Boolean({ default: false, description: 'Also the engine’s own topics.' }),
});

const RecordsQuery = query({
  partition: Type.Optional(
    Type.Integer({ minimum: 0, description: 'Default: 0 for a page, all for a feed.' }),
  ),
  from: Type.Optional(
    Type.String({
      description:
        'beginning, latest, an offset, or a time (ISO 8601, or ms: numbers of 13 digits and more). Default: beginning for a page, latest for a feed.',
    }),
  ),
  limit: Type.Integer({ minimum: 1, maximum: PAGE_LIMIT_MAX, default: 100 }),
  encoding: Type.Optional(
    Type.Literal('base64', {
      description: 'Of a page: keys and values as base64, byte for byte. Default: readable.',
    }),
  ),
});

const RecordShape = Type.Object({
  partition: Type.Integer(),
  offset: Type.Integer(),
  key: nullable({ type: 'string' }),
  keyEncoding: Type.Optional(Type.Literal('base64')),
  timestamp: Type.Number({ description: 'ms' }),
  value: Type.Unknown({
    description:
      'The stored bytes: as JSON when they are JSON, else as text; base64 when they are no UTF-8; null for a record without value.',
  }),
  encoding: Type.Optional(Type.Literal('base64')),
});

const lineTypes = [
  'application/x-ndjson',
  'application/ndjson',
  'application/jsonl',
  'application/x-jsonlines',
  'text/plain',
];

export async function topics(app: FastifyInstance, context: ApiContext): Promise<void> {
  const { engine, clock, logger } = context;

  // Bodies stay bytes here: lines are stored as they came.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    ['application/json', ...lineTypes],
    { parseAs: 'buffer' },
    (_request, body, done) => done(null, body),
  );

  app.get<{ Querystring: Static<typeof ListQuery> }>(
    '/v1/topics',
    {
      schema: {
        summary: 'Topics with offsets and watermarks',
        tags: ['topics'],
        querystring: ListQuery,
        response: {
          200: Type.Object({
            topics: Type.Array(
              Type.Object({
                name: Type.String(),
                partitions: Type.Array(
                  Type.Object({
                    partition: Type.Integer(),
                    firstOffset: Type.Integer(),
                    nextOffset: Type.Integer(),
                    watermark: nullable({ type: 'integer' }, 'ms of event time'),
                  }),
                ),
              }),
            ),
          }),
          ...problems(422),
        },
      },
    },
    async (request) => {
      const described = await engine.broker.describeTopics();
      return {
        topics: described
          .filter((topic) => request.query.internal || !isInternal(topic.name))
          .map((topic) => ({
            name: topic.name,
            partitions: topic.partitions.map(({ partition, firstOffset, nextOffset }) => ({
              partition,
              firstOffset,
              nextOffset,
              watermark: engine.watermark(topic.name, partition),
            })),
          })),
      };
    },
  );

  app.post<{ Params: Static<typeof TopicParameters>; Body: Buffer | undefined }>(
    '/v1/topics/:topic/records',
    {
      schema: {
        summary: 'Publish records',
        description:
          'One record per line (application/x-ndjson), each line’s bytes stored as they are; or {"records":[{"key"?,"value","timestamp"?}]}, each value stored as its JSON. Answers once they are durable. All are stored or none.',
        tags: ['topics'],
        consumes: ['application/json', ...lineTypes],
        params: TopicParameters,
        response: {
          200: Type.Object({
            count: Type.Integer(),
            offsets: Type.Array(Type.Object({ partition: Type.Integer(), offset: Type.Integer() })),
          }),
          ...problems(403, 404, 413, 415, 422, 429),
        },
      },
    },
    async (request) => {
      const { topic } = request.params;
      if (isInternal(topic)) {
        throw new Refusal('INTERNAL_TOPIC', `${topic} is written by the engine alone`);
      }
      const full = engine.blocked(topic);
      if (full !== undefined)
        throw new Refusal('BACKLOG_FULL', full, { headers: { 'retry-after': '5' } });
      const body = request.body ?? Buffer.alloc(0);
      const read = isJsonType(request.headers['content-type']) ? recordsOfJson : recordsOfLines;
      if (body.length === 0) throw new Refusal('BODY_EMPTY', 'the body is empty');
      try {
        // No name for the records: they may go as soon as the log has them in its blocks, before it answers.
        const offsets = await read(body, engine.keyField(topic)).then((records) => {
          if (records.length === 0) throw new Refusal('BODY_EMPTY', 'the body holds no record');
          return engine.broker.append(topic, records);
        });
        return { count: offsets.length, offsets };
      } catch (error) {
        const unknown = error instanceof TidemarkError && error.code === 'UNKNOWN_TOPIC';
        if (unknown) await refuseTopic(engine.broker, topic);
        throw error;
      }
    },
  );

  app.get<{
    Params: Static<typeof TopicParameters>;
    Querystring: Static<typeof RecordsQuery>;
  }>(
    '/v1/topics/:topic/records',
    {
      schema: {
        summary: 'A page of records, or a live feed',
        description:
          'With Accept: text/event-stream a feed: each event’s data is a record, its id resumes the feed exactly when sent back as Last-Event-ID.',
        tags: ['topics'],
        produces: ['application/json', 'text/event-stream'],
        params: TopicParameters,
        querystring: RecordsQuery,
        response: {
          200: Type.Object({
            records: Type.Array(RecordShape),
            next: Type.Integer({ description: 'Offset at which the following page starts.' }),
          }),
          ...problems(404, 422),
        },
      },
    },
    async (request, reply) => {
      const { topic } = request.params;
      const { partition, from, limit, encoding } = request.query;
      const wantsFeed = request.headers.accept?.includes('text/event-stream') === true;
      if (!wantsFeed || request.method !== 'GET') {
        const page = await readPage(engine.broker, {
          topic,
          partition: partition ?? 0,
          from: from ?? 'beginning',
          limit,
          raw: encoding === 'base64',
        });
        // Already text: the serializer must not quote it.
        return reply.type('application/json; charset=utf-8').serializer(String).send(page);
      }
      const header = request.headers['last-event-id'];
      const lastEventId = typeof header === 'string' && header !== '' ? header : undefined;
      const start = await openFeed(engine.broker, { topic, partition, from, lastEventId });
      const gone = new AbortController();
      reply.raw.once('close', () => gone.abort());
      if (request.raw.socket.destroyed) return reply;
      reply.hijack();
      reply.raw.writeHead(200, {
        ...(reply.getHeaders() as Record<string, string>),
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-cache, no-transform',
        'x-accel-buffering': 'no',
      });
      const signal = AbortSignal.any([gone.signal, context.stopping]);
      runFeed({ broker: engine.broker, clock, start, response: reply.raw, signal }).catch((error) =>
        logger.error({ err: error, topic }, 'a feed ended by an error'),
      );
      return reply;
    },
  );
}

const isJsonType = (contentType: string | undefined): boolean =>
  contentType?.split(';', 1)[0]?.trim().toLowerCase() === 'application/json';
