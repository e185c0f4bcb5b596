/** Shapes shared by several routes; they validate what comes in and describe both ways at /docs. */
import type { Static, TObject, TProperties } from 'typebox';
import { Type } from '../runtime/index.ts';

/**
 * Query parameters: unknown ones are refused, since a mistyped one would silently mean its default. One with
 * a default may be left out; its type is none the less that of the value which handlers then see.
 */
export function query<P extends TProperties>(properties: P): TObject<P> {
  const object = Type.Object(properties, { additionalProperties: false });
  const required = (object as { required?: readonly string[] }).required ?? [];
  const needed = required.filter((name) => !('default' in properties[name]!));
  return { ...object, required: needed } as unknown as TObject<P>;
}

export const timeText = (description: string) =>
  Type.Optional(
    Type.String({ description: `${description} ms or ISO 8601 (UTC unless it says).` }),
  );

/** A time in a body: a number of ms or a text in ISO 8601. */
export const bodyTime = Type.Unsafe<number | string>({ type: ['number', 'string'] });

export const nullable = <T>(schema: object, description?: string) =>
  Type.Unsafe<T | null>({
    ...schema,
    type: [(schema as { type: string }).type, 'null'],
    ...(description === undefined ? {} : { description }),
  });

const window = Type.Object({
  start: Type.Integer({ description: 'ms, inclusive' }),
  end: Type.Integer({ description: 'ms, exclusive' }),
});

const summary = {
  window,
  count: Type.Integer(),
  sum: Type.Number(),
  min: Type.Number({ description: 'slots' }),
  max: Type.Number({ description: 'slots' }),
  mean: Type.Number({ description: 'slots' }),
  stddev: Type.Number({ description: 'slots, population' }),
  p50: Type.Number({ description: 'slots' }),
  p95: Type.Number({ description: 'slots' }),
  p99: Type.Number({ description: 'slots' }),
};

export const LiveWindowShape = Type.Object({
  ...summary,
  final: Type.Boolean({ description: 'true once closed and committed' }),
});

export const LiveEntryShape = Type.Object({
  id: Type.String(),
  network: Type.String(),
  voteAccount: Type.Optional(Type.String()),
  open: nullable(LiveWindowShape),
  closed: nullable(LiveWindowShape),
  lastSlot: nullable({ type: 'integer' }),
  movingAverage: nullable({ type: 'number' }, 'slots, over this and the previous 11 windows'),
  asOf: Type.Object({
    offset: Type.Integer(),
    watermark: nullable({ type: 'integer' }, 'ms of event time'),
  }),
});

export const HistoryPointShape = Type.Object({
  ...summary,
  sum: Type.Optional(Type.Number({ description: 'slots; absent when InfluxDB answered' })),
  movingAverage: Type.Number({ description: 'slots' }),
  revision: Type.Optional(
    Type.Integer({ description: '0 as first emitted; absent when InfluxDB answered' }),
  ),
});

export const DistributionShape = Type.Object({
  count: Type.Integer({ description: 'votes' }),
  bins: Type.Array(
    Type.Object({
      from: Type.Number({ description: 'slots, inclusive' }),
      to: Type.Number({ description: 'slots, exclusive' }),
      count: Type.Integer(),
    }),
  ),
  quantiles: Type.Array(Type.Object({ q: Type.Number(), value: Type.Number() })),
});

export const ProblemShape = Type.Object(
  {
    type: Type.String({ description: 'Where /docs explains the code.' }),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.String(),
    code: Type.String(),
    instance: Type.String(),
    errors: Type.Optional(
      Type.Array(
        Type.Object({
          line: Type.Optional(Type.Integer()),
          record: Type.Optional(Type.Integer()),
          field: Type.Optional(Type.String()),
          code: Type.Optional(Type.String()),
          message: Type.String(),
        }),
      ),
    ),
  },
  { description: 'RFC 9457 problem' },
);

/** The refusals of a route, for its `response`. */
export const problems = <const S extends number>(...statuses: readonly S[]) =>
  Object.fromEntries(statuses.map((status) => [status, ProblemShape])) as Record<
    S,
    typeof ProblemShape
  >;

export type Problem = Static<typeof ProblemShape>;
