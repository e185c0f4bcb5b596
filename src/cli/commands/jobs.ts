/** `tidemark jobs [ID [report|pause|resume|retry|cancel]]`: the durable jobs of the running engine. */
import { Argument, Command } from 'commander';
import type { JobReport, JobView } from '../../jobs/index.ts';
import { type CliContext, type ReachFlags, withClient, withReach } from '../context.ts';
import { lineOf } from '../run-job.ts';
import { renderTable, timeText } from '../table.ts';
import { write } from '../terminal.ts';
import { oneOf } from '../usage.ts';

const verbs = ['report', 'pause', 'resume', 'retry', 'cancel'] as const;

export function jobsCommand(context: CliContext): Command {
  const command = new Command('jobs')
    .description('durable jobs of the engine: list, report, pause, resume, retry, cancel')
    .argument('[id]', 'a job; absent: all are listed')
    .addArgument(
      new Argument('[verb]', `${verbs.join(', ')} (default: report)`).argParser(oneOf(verbs)),
    );
  return withReach(command).action(
    (id: string | undefined, verb: (typeof verbs)[number] | undefined, flags: ReachFlags) =>
      withClient(context, flags, async (client) => {
        const print = (value: object, text: string) =>
          write(context.terminal.stdout, flags.json ? `${JSON.stringify(value)}\n` : text);
        if (id === undefined) {
          const { jobs } = await client.get<{ jobs: JobView[] }>('/v1/jobs');
          return print({ jobs }, listText(jobs));
        }
        const path = `/v1/jobs/${encodeURIComponent(id)}`;
        if (verb === undefined || verb === 'report') {
          const report = await client.get<JobReport>(`${path}/report`);
          const { reportText } = await import('../../jobs/index.ts');
          return print(report, `${reportText(report)}\n`);
        }
        const job =
          verb === 'cancel'
            ? await client.delete<JobView>(path)
            : await client.post<JobView>(`${path}/${verb}`);
        return print(job, `${job.state}: ${lineOf(job)}\n`);
      }),
  );
}

const listText = (jobs: readonly JobView[]): string =>
  renderTable(
    ['id', 'kind', 'what', 'state', 'units', 'of', 'failed', 'done', 'total', 'since'],
    jobs.map((job) => [
      job.id,
      job.kind,
      job.title,
      job.state,
      job.units.done,
      job.units.total,
      job.units.failed,
      job.progress.done,
      job.progress.total,
      timeText(job.createdAt),
    ]),
  );
