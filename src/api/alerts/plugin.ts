/** Alerts: what fires, its history, the rules; acknowledging, and silences. */
import type { FastifyInstance } from 'fastify';
import type { Static } from 'typebox';
import { hours, minutes } from '../../model/index.ts';
import { Type } from '../../runtime/index.ts';
import type { ApiContext } from '../context.ts';
import { Refusal } from '../errors.ts';
import { bodyTime, nullable, problems, query, timeText } from '../schemas.ts';
import { parseRange, requireTime } from '../time-range.ts';
import type { AlertRuleView, AlertView, SilenceView } from './port.ts';

/** The history shown when nobody says from when. */
const HISTORY_MS = hours(24);
const SILENCE_MS_MAX = 366 * hours(24);

const severity = Type.Unsafe<'warning' | 'critical'>({
  type: 'string',
  enum: ['warning', 'critical'],
});
const labels = Type.Record(Type.String(), Type.String());

const transition = {
  id: Type.String({ description: 'Of the rule and its subject; the same in every episode.' }),
  rule: Type.String(),
  severity,
  state: Type.Unsafe<AlertView['state']>({
    type: 'string',
    enum: ['pending', 'firing', 'resolved'],
  }),
  subject: Type.String(),
  labels,
  summary: Type.String(),
  value: nullable({ type: 'number' }),
  threshold: nullable({ type: 'number' }),
  startedAt: Type.Integer({ description: 'ms of event time' }),
  firedAt: nullable({ type: 'integer' }, 'ms of event time'),
  resolvedAt: nullable({ type: 'integer' }, 'ms of event time'),
  at: Type.Integer({ description: 'ms of event time, of this transition' }),
  sequence: Type.Integer({ description: 'with id: names the transition' }),
};
const TransitionShape = Type.Object(transition);
const AlertShape = Type.Object({
  ...transition,
  acknowledged: nullable({
    type: 'object',
    properties: {
      by: { type: ['string', 'null'] },
      comment: { type: ['string', 'null'] },
      at: { type: 'integer' },
    },
  }),
  silencedBy: nullable({ type: 'string' }, 'id of a silence in force'),
});

const RuleShape = Type.Object({
  name: Type.String(),
  kind: Type.Unsafe<AlertRuleView['kind']>({ type: 'string', enum: ['threshold', 'absent'] }),
  description: Type.String(),
  enabled: Type.Boolean(),
  measure: Type.String(),
  unit: Type.String(),
  direction: Type.Unsafe<AlertRuleView['direction']>({ type: 'string', enum: ['above', 'below'] }),
  warning: nullable({ type: 'number' }),
  critical: nullable({ type: 'number' }),
  hysteresis: Type.Number(),
  forMs: Type.Integer({ description: 'ms of event time' }),
  overrides: Type.Array(
    Type.Object({
      match: labels,
      warning: nullable({ type: 'number' }),
      critical: nullable({ type: 'number' }),
      enabled: Type.Boolean(),
    }),
  ),
  firing: Type.Integer({ description: 'alerts of this rule that fire now' }),
});

const SilenceShape = Type.Object({
  id: Type.String(),
  matchers: labels,
  startsAt: Type.Integer({ description: 'ms' }),
  endsAt: Type.Integer({ description: 'ms, exclusive' }),
  comment: nullable({ type: 'string' }),
  createdBy: nullable({ type: 'string' }),
  createdAt: Type.Integer({ description: 'ms' }),
  state: Type.Unsafe<SilenceView['state']>({
    type: 'string',
    enum: ['pending', 'active', 'expired'],
  }),
});

const note = (description: string) =>
  Type.Optional(Type.String({ minLength: 1, maxLength: 1_000, description }));

const AcknowledgeBody = Type.Object(
  { by: note('Who takes care of it.'), comment: note('For those who look later.') },
  { additionalProperties: false },
);

const SilenceBody = Type.Object(
  {
    matchers: Type.Unsafe<Record<string, string>>({
      type: 'object',
      minProperties: 1,
      maxProperties: 20,
      propertyNames: { minLength: 1, maxLength: 100 },
      additionalProperties: { type: 'string', minLength: 1, maxLength: 500 },
      description:
        'Labels that all must fit: rule, severity, subject, id, host, validator, …; * stands for anything.',
    }),
    startsAt: Type.Optional(bodyTime),
    endsAt: Type.Optional(bodyTime),
    durationMs: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: SILENCE_MS_MAX,
        description: 'Instead of endsAt; default 1 h.',
      }),
    ),
    comment: note('Why.'),
    createdBy: note('Who.'),
  },
  { additionalProperties: false },
);

const AlertsQuery = query({
  from: timeText('Start of the history; default 24 h before to.'),
  to: timeText('End of the history, exclusive; default now.'),
  limit: Type.Integer({ minimum: 1, maximum: 1_000, default: 100 }),
  rule: Type.Optional(Type.String({ minLength: 1 })),
  severity: Type.Optional(severity),
});

const ById = Type.Object({ id: Type.String() });

export async function alerts(app: FastifyInstance, { engine, clock }: ApiContext): Promise<void> {
  app.get<{ Querystring: Static<typeof AlertsQuery> }>(
    '/v1/alerts',
    {
      schema: {
        summary: 'Alerts that fire or are about to, and the history',
        tags: ['alerts'],
        querystring: AlertsQuery,
        response: {
          200: Type.Object({
            firing: Type.Array(AlertShape),
            pending: Type.Array(AlertShape),
            history: Type.Array(TransitionShape, { description: 'newest first' }),
          }),
          ...problems(422, 503),
        },
      },
    },
    async ({ query: { from, to, limit, rule, severity: wanted } }) => {
      // What came with a clock a little ahead is history, too.
      const range = parseRange(
        { from, to },
        { nowMs: clock.now() + minutes(1), lengthMs: HISTORY_MS },
      );
      return engine.alerts.list({
        ...range,
        limit,
        ...(rule === undefined ? {} : { rule }),
        ...(wanted === undefined ? {} : { severity: wanted }),
      });
    },
  );

  app.get(
    '/v1/alerts/rules',
    {
      schema: {
        summary: 'The rules that are judged by',
        tags: ['alerts'],
        response: { 200: Type.Object({ rules: Type.Array(RuleShape) }), ...problems(503) },
      },
    },
    async () => ({ rules: await engine.alerts.rules() }),
  );

  app.post<{
    Params: Static<typeof ById>;
    Body: Static<typeof AcknowledgeBody> | undefined;
  }>(
    '/v1/alerts/:id/acknowledge',
    {
      schema: {
        summary: 'Take care of an alert: it is not repeated until it resolves',
        tags: ['alerts'],
        params: ById,
        response: { 200: AlertShape, ...problems(404, 409, 415, 422, 503) },
      },
      preValidation: async (request) => {
        // Nothing to say is as good as an empty object.
        request.body ??= {};
      },
    },
    async ({ params: { id }, body }) => engine.alerts.acknowledge(id, noteOf(body ?? {})),
  );

  app.get(
    '/v1/alerts/silences',
    {
      schema: {
        summary: 'Silences, with those that are over for less than a day',
        tags: ['alerts'],
        response: { 200: Type.Object({ silences: Type.Array(SilenceShape) }), ...problems(503) },
      },
    },
    async () => ({ silences: await engine.alerts.silences() }),
  );

  app.post<{ Body: Static<typeof SilenceBody> }>(
    '/v1/alerts/silences',
    {
      schema: {
        summary: 'Send no notification of alerts that fit, for a while',
        tags: ['alerts'],
        body: SilenceBody,
        response: { 201: SilenceShape, ...problems(415, 422, 429, 503) },
      },
    },
    async ({ body }, reply) => {
      const silence = await engine.alerts.silence(silenceOf(body, clock.now()));
      return reply.code(201).header('location', `/v1/alerts/silences/${silence.id}`).send(silence);
    },
  );

  app.delete<{ Params: Static<typeof ById> }>(
    '/v1/alerts/silences/:id',
    {
      schema: {
        summary: 'End a silence now',
        tags: ['alerts'],
        params: ById,
        response: { 200: SilenceShape, ...problems(404, 503) },
      },
    },
    async ({ params: { id } }) => {
      const ended = await engine.alerts.endSilence(id);
      if (ended !== undefined) return ended;
      throw new Refusal('UNKNOWN_SILENCE', `there is no silence ${JSON.stringify(id)}`);
    },
  );
}

const noteOf = ({ by, comment }: Static<typeof AcknowledgeBody>) => ({
  by: by ?? null,
  comment: comment ?? null,
});

function silenceOf(body: Static<typeof SilenceBody>, nowMs: number) {
  const startsAt = body.startsAt === undefined ? undefined : requireTime('startsAt', body.startsAt);
  const begin = startsAt ?? nowMs;
  if (body.endsAt !== undefined && body.durationMs !== undefined) {
    throw new Refusal('FIELD_INVALID', 'give endsAt or durationMs, not both');
  }
  const endsAt =
    body.endsAt === undefined
      ? begin + (body.durationMs ?? hours(1))
      : requireTime('endsAt', body.endsAt);
  if (endsAt <= begin) throw new Refusal('RANGE_INVALID', 'endsAt must lie after startsAt');
  if (endsAt <= nowMs) throw new Refusal('RANGE_INVALID', 'endsAt must lie in the future');
  if (endsAt - begin > SILENCE_MS_MAX) {
    throw new Refusal('RANGE_INVALID', 'a silence lasts at most 366 days');
  }
  return {
    matchers: body.matchers,
    ...(startsAt === undefined ? {} : { startsAt }),
    endsAt,
    comment: body.comment ?? null,
    createdBy: body.createdBy ?? null,
  };
}
