/** Durable jobs: start, watch, pause, go on, cancel, read the report. */
import type { FastifyInstance } from 'fastify';
import type { Static } from 'typebox';
import { type JobReport, type JobView, reportText } from '../../jobs/index.ts';
import { Type } from '../../runtime/index.ts';
import type { ApiContext } from '../context.ts';
import { Refusal } from '../errors.ts';
import { nullable, problems, query } from '../schemas.ts';

const JobBody = Type.Object(
  {
    kind: Type.String({ minLength: 1, description: 'replay, verify, …' }),
    input: Type.Unknown({ description: 'What the kind needs to know; see the guide of each.' }),
  },
  { additionalProperties: false },
);

const ErrorShape = nullable<JobView['error']>({
  type: 'object',
  properties: { code: { type: 'string' }, message: { type: 'string' } },
});

const jobProperties = {
  id: Type.String(),
  kind: Type.String(),
  title: Type.String(),
  state: Type.Unsafe<JobView['state']>({
    type: 'string',
    enum: ['planning', 'running', 'paused', 'stopped', 'done', 'failed', 'cancelled'],
    description:
      'stopped: something concerns the whole job, resume goes on; failed: some units failed, retry tries them again',
  }),
  input: Type.Unknown(),
  noun: Type.String({ description: 'what progress counts' }),
  units: Type.Object({
    total: Type.Integer(),
    done: Type.Integer(),
    failed: Type.Integer(),
    running: Type.Integer(),
  }),
  progress: Type.Object({ done: Type.Integer(), total: Type.Integer() }),
  perSecond: nullable({ type: 'number' }, 'in the noun'),
  etaMs: nullable({ type: 'integer' }, 'ms'),
  createdAt: Type.Integer({ description: 'ms' }),
  endedAt: nullable({ type: 'integer' }, 'ms'),
  error: ErrorShape,
};

const JobShape = Type.Object(jobProperties);

const ReportShape = Type.Object({
  ...jobProperties,
  failures: Type.Array(
    Type.Object({
      unit: Type.String(),
      code: Type.String(),
      message: Type.String(),
      attempts: Type.Integer(),
    }),
  ),
  notes: Type.Array(Type.String()),
  noteCount: Type.Integer(),
  results: Type.Array(Type.Object({ unit: Type.String(), result: Type.Unknown() })),
  summary: Type.Array(Type.String()),
});

const ById = Type.Object({ id: Type.String() });

const ReportQuery = query({
  format: Type.Unsafe<'json' | 'text'>({ type: 'string', enum: ['json', 'text'], default: 'json' }),
});

const verbs = {
  pause: 'Pause a job; resume goes on',
  resume: 'Go on with a job that was paused or stopped',
  retry: 'Try a job’s failed units again',
} as const;

export async function jobs(app: FastifyInstance, { engine }: ApiContext): Promise<void> {
  const required = <T extends JobView | JobReport>(job: T | undefined, id: string): T => {
    if (job !== undefined) return job;
    throw new Refusal('UNKNOWN_JOB', `there is no job ${JSON.stringify(id)}`);
  };

  app.post<{ Body: Static<typeof JobBody> }>(
    '/v1/jobs',
    {
      schema: {
        summary: 'Start a job',
        tags: ['jobs'],
        body: JobBody,
        response: { 202: JobShape, ...problems(415, 422, 429) },
      },
    },
    async ({ body }, reply) => {
      const job = await engine.jobs.submit(body.kind, body.input);
      return reply.code(202).header('location', `/v1/jobs/${job.id}`).send(job);
    },
  );

  app.get(
    '/v1/jobs',
    {
      schema: {
        summary: 'Jobs of this process',
        tags: ['jobs'],
        response: { 200: Type.Object({ jobs: Type.Array(JobShape) }) },
      },
    },
    async () => ({ jobs: engine.jobs.list() }),
  );

  app.get<{ Params: Static<typeof ById> }>(
    '/v1/jobs/:id',
    {
      schema: {
        summary: 'One job',
        tags: ['jobs'],
        params: ById,
        response: { 200: JobShape, ...problems(404) },
      },
    },
    async ({ params: { id } }) => required(engine.jobs.get(id), id),
  );

  app.get<{ Params: Static<typeof ById>; Querystring: Static<typeof ReportQuery> }>(
    '/v1/jobs/:id/report',
    {
      schema: {
        summary: 'What became of a job: failed units with reasons, what is to be known',
        tags: ['jobs'],
        params: ById,
        querystring: ReportQuery,
        response: { 200: ReportShape, ...problems(404, 422) },
      },
    },
    async ({ params: { id }, query: { format } }, reply) => {
      const report = required(engine.jobs.report(id), id);
      if (format === 'json') return report;
      return reply
        .type('text/plain; charset=utf-8')
        .serializer((text: unknown) => text as string)
        .send(`${reportText(report)}\n` as never);
    },
  );

  for (const verb of ['pause', 'resume', 'retry'] as const) {
    app.post<{ Params: Static<typeof ById> }>(
      `/v1/jobs/:id/${verb}`,
      {
        schema: {
          summary: verbs[verb],
          tags: ['jobs'],
          params: ById,
          response: { 200: JobShape, ...problems(404) },
        },
      },
      async ({ params: { id } }) => required(await engine.jobs[verb](id), id),
    );
  }

  app.delete<{ Params: Static<typeof ById> }>(
    '/v1/jobs/:id',
    {
      schema: {
        summary: 'Cancel a job; what it did stays',
        tags: ['jobs'],
        params: ById,
        response: { 200: JobShape, ...problems(404) },
      },
    },
    async ({ params: { id } }) => required(await engine.jobs.cancel(id), id),
  );
}
