/** Where votes stand this moment, out of the tasks' memory without any I/O; or where they stood, read from the log again. */
import type { FastifyInstance } from 'fastify';
import type { Static } from 'typebox';
import { Type } from '../../runtime/index.ts';
import type { ApiContext } from '../context.ts';
import type { LiveEntry, LiveSort, LiveVotes } from '../contract.ts';
import { Refusal } from '../errors.ts';
import { LiveEntryShape, problems, query } from '../schemas.ts';
import { requireTime } from '../time-range.ts';

const sorts: readonly LiveSort[] = ['p99', 'p95', 'p50', 'mean', 'count', 'lastSlot', 'id'];

const at = {
  at: Type.Optional(
    Type.String({
      description:
        'ms or ISO 8601: what this would have said then, told from the log; validators without a vote in the 85 minutes before are left out.',
    }),
  ),
};

const ListQuery = query({
  sort: Type.Unsafe<LiveSort>({
    type: 'string',
    enum: [...sorts],
    default: 'p99',
    description: 'Highest first; id ascending.',
  }),
  limit: Type.Integer({ minimum: 1, maximum: 10_000, default: 100 }),
  ...at,
});
const AtQuery = query(at);
const ById = Type.Object({ id: Type.String() });
const ByNetwork = Type.Object({ network: Type.String() });

export async function live(app: FastifyInstance, { engine }: ApiContext): Promise<void> {
  const votesAt = async (time: string | undefined): Promise<LiveVotes> =>
    time === undefined ? engine.live : engine.liveAt(requireTime('at', time));

  app.get<{ Querystring: Static<typeof ListQuery> }>(
    '/v1/live/validators',
    {
      schema: {
        summary: 'Validators as they stand now',
        tags: ['live'],
        querystring: ListQuery,
        response: {
          200: Type.Object({ validators: Type.Array(LiveEntryShape) }),
          ...problems(422),
        },
      },
    },
    async ({ query: { at, ...wanted } }) => ({
      validators: (await votesAt(at)).validators(wanted),
    }),
  );

  app.get<{ Params: Static<typeof ById>; Querystring: Static<typeof AtQuery> }>(
    '/v1/live/validators/:id',
    {
      schema: {
        summary: 'One validator as it stands now',
        tags: ['live'],
        params: ById,
        querystring: AtQuery,
        response: { 200: LiveEntryShape, ...problems(404, 422) },
      },
    },
    async (request) => {
      const { id } = request.params;
      const entry = whole(await votesAt(request.query.at), 'validator', id);
      if (entry !== undefined) return entry;
      throw new Refusal('UNKNOWN_VALIDATOR', `no vote of ${JSON.stringify(id)} was seen`);
    },
  );

  app.get<{ Params: Static<typeof ByNetwork>; Querystring: Static<typeof AtQuery> }>(
    '/v1/live/networks/:network',
    {
      schema: {
        summary: 'A network as it stands now',
        tags: ['live'],
        params: ByNetwork,
        querystring: AtQuery,
        response: { 200: LiveEntryShape, ...problems(404, 422) },
      },
    },
    async (request) => {
      const { network } = request.params;
      const entry = whole(await votesAt(request.query.at), 'network', network);
      if (entry !== undefined) return entry;
      throw new Refusal(
        'UNKNOWN_NETWORK',
        `no vote of network ${JSON.stringify(network)} was seen`,
      );
    },
  );
}

/** Of what another process owns, its last closed window as it is stored here stands in. */
function whole(live: LiveVotes, scope: 'validator' | 'network', id: string): LiveEntry | undefined {
  const own = scope === 'validator' ? live.validator(id) : live.network(id);
  if (own !== undefined && own.closed !== null) return own;
  const stored = live.stored(scope, id);
  if (own === undefined || stored === undefined) return own ?? stored;
  return { ...own, closed: stored.closed, movingAverage: stored.movingAverage };
}
