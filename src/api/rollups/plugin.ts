/** For whoever runs KairosDB's rollup tasks: what each is doing, where it came to, why it fails. */
import type { FastifyInstance } from 'fastify';
import { Type } from '../../runtime/index.ts';
import type { ApiContext } from '../context.ts';
import { nullable } from '../schemas.ts';

const RollupShape = Type.Object({
  id: Type.String(),
  name: nullable({ type: 'string' }),
  state: Type.String({ description: 'waiting, due, running, failing, broken or elsewhere' }),
  owner: nullable({ type: 'string' }, 'the process that runs it now, or its Java server'),
  doneTo: nullable({ type: 'integer' }, 'ms: runs due up to here are through'),
  nextRunAt: nullable({ type: 'integer' }, 'ms'),
  lagMs: Type.Integer({ description: 'since when a run is due that is not through' }),
  failures: Type.Integer({ description: 'failed runs in a row' }),
  error: nullable({ type: 'string' }),
});

export async function rollups(app: FastifyInstance, { engine }: ApiContext): Promise<void> {
  app.get(
    '/v1/rollups',
    {
      schema: {
        summary: 'How the rollup tasks of /api/v1/rollups stand',
        tags: ['operations'],
        response: { 200: Type.Object({ rollups: Type.Array(RollupShape) }) },
      },
    },
    async () => ({ rollups: (await engine.rollups?.list()) ?? [] }),
  );
}
