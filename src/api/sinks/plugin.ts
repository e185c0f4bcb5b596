/** The sinks' backlogs: seen, tried at once, given up, paused and resumed; and dual writing, which is that by database [V8] [T4]. */
import type { FastifyInstance } from 'fastify';
import type { Static } from 'typebox';
import { Type } from '../../runtime/index.ts';
import type { ApiContext } from '../context.ts';
import { Refusal } from '../errors.ts';
import { nullable, problems } from '../schemas.ts';
import { isInternal } from '../topics/position.ts';
import { unknownName } from '../unknown-name.ts';

const BacklogShape = Type.Object({
  sink: Type.String(),
  topic: Type.String(),
  points: Type.Integer({ description: 'records not stored yet' }),
  bytes: Type.Integer(),
  oldestAgeMs: nullable({ type: 'number' }),
  dropped: Type.Integer(),
  rejected: Type.Integer(),
  paused: Type.Boolean({ description: 'by an operator' }),
  breaker: Type.String({ description: 'closed, open or half-open' }),
  lastError: nullable({ type: 'string' }),
  nextAttemptAt: nullable({ type: 'number' }, 'ms'),
});

const BySink = Type.Object({ sink: Type.String() });

const PausedShape = Type.Object({ sink: Type.String(), paused: Type.Boolean() });

/** Which databases are written: all, or one alone while the others wait at their cursors. */
const modes = ['dual', 'influx', 'kairos'] as const;
type Mode = (typeof modes)[number];

const ModeShape = Type.Unsafe<Mode>({
  type: 'string',
  enum: [...modes],
  description:
    'dual: all sinks are written. influx, kairos: that database alone; sinks of the other wait at their cursors.',
});
const DualWritingShape = Type.Object({
  mode: Type.Union([Type.Literal('mixed'), ModeShape], {
    description: 'mixed: sinks were paused one by one.',
  }),
  sinks: Type.Array(PausedShape),
});
const DualWritingBody = Type.Object({ mode: ModeShape }, { additionalProperties: false });

const databaseOf = (sink: string): string => sink.split('.', 1)[0] ?? '';

export async function sinks(app: FastifyInstance, { engine }: ApiContext): Promise<void> {
  app.get(
    '/v1/backlog',
    {
      schema: {
        summary: 'What each sink has yet to store',
        tags: ['operations'],
        response: { 200: Type.Object({ sinks: Type.Array(BacklogShape) }) },
      },
    },
    async () => ({ sinks: await engine.backlog() }),
  );

  const requireSink = async (sink: string): Promise<void> => {
    const sinks = (await engine.backlog()).map((each) => each.sink);
    if (!sinks.includes(sink)) throw unknownName('UNKNOWN_SINK', 'sink', sink, sinks);
  };

  app.post<{ Params: Static<typeof BySink> }>(
    '/v1/backlog/:sink/flush',
    {
      schema: {
        summary: 'Try a sink now, without waiting for its backoff',
        tags: ['operations'],
        params: BySink,
        response: {
          200: Type.Object({ sink: Type.String(), flushed: Type.Boolean() }),
          ...problems(404),
        },
      },
    },
    async ({ params: { sink } }) => {
      await requireSink(sink);
      return { sink, flushed: await engine.flushBacklog(sink) };
    },
  );

  app.post<{ Params: Static<typeof BySink> }>(
    '/v1/backlog/:sink/clear',
    {
      schema: {
        summary: 'Give up what a sink has yet to store; it counts as dropped',
        tags: ['operations'],
        params: BySink,
        response: {
          200: Type.Object({ sink: Type.String(), dropped: Type.Integer() }),
          ...problems(404),
        },
      },
    },
    async ({ params: { sink } }) => {
      await requireSink(sink);
      return { sink, dropped: (await engine.clearBacklog(sink)) ?? 0 };
    },
  );

  for (const paused of [true, false]) {
    app.post<{ Params: Static<typeof BySink> }>(
      `/v1/backlog/:sink/${paused ? 'pause' : 'resume'}`,
      {
        schema: {
          summary: paused
            ? 'Stop writing to a sink; what comes waits at its cursor'
            : 'Write to a sink again, from where it stopped',
          tags: ['operations'],
          params: BySink,
          response: { 200: PausedShape, ...problems(404) },
        },
      },
      async ({ params: { sink } }) => {
        await requireSink(sink);
        await engine.pauseSinks([sink], paused);
        return { sink, paused };
      },
    );
  }

  const dualWriting = async (): Promise<Static<typeof DualWritingShape>> => {
    // What came by KairosDB's own door is no stream that another database gets, too.
    const databases = (await engine.backlog())
      .filter(({ topic }) => !isInternal(topic))
      .filter(({ sink }) => (modes as readonly string[]).includes(databaseOf(sink)))
      .map(({ sink, paused }) => ({ sink, paused }));
    const mode = modes.find((each) =>
      databases.every(({ sink, paused }) => paused === isPausedIn(each, sink)),
    );
    return { mode: mode ?? 'mixed', sinks: databases };
  };

  app.get(
    '/v1/dual-writing',
    {
      schema: {
        summary: 'Which databases are written',
        tags: ['operations'],
        response: { 200: DualWritingShape },
      },
    },
    dualWriting,
  );

  app.put<{ Body: Static<typeof DualWritingBody> }>(
    '/v1/dual-writing',
    {
      schema: {
        summary: 'Write all databases, or one alone; nothing is lost on the way there or back',
        tags: ['operations'],
        body: DualWritingBody,
        response: { 200: DualWritingShape, ...problems(422) },
      },
    },
    async ({ body: { mode } }) => {
      const { sinks: databases } = await dualWriting();
      const names = databases.map(({ sink }) => sink);
      if (mode !== 'dual' && !names.some((sink) => databaseOf(sink) === mode)) {
        throw new Refusal(
          'UNKNOWN_SINK',
          `no sink writes to ${mode}: name its server in the settings first`,
        );
      }
      // Resumed before others are paused: at no time is nothing written.
      for (const paused of [false, true]) {
        const these = names.filter((sink) => isPausedIn(mode, sink) === paused);
        await engine.pauseSinks(these, paused);
      }
      return dualWriting();
    },
  );
}

const isPausedIn = (mode: Mode, sink: string): boolean =>
  mode !== 'dual' && databaseOf(sink) !== mode;
