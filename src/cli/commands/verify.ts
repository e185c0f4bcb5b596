/** `tidemark verify SINK`: does a database hold what its topics say? Exit code 1 while it does not. */
import { Command } from 'commander';
import type { JobReport, JobView, VerifyRequest, VerifyResult } from '../../jobs/index.ts';
import { FatalError } from '../../model/index.ts';
import { type CliContext, type ReachFlags, withClient, withReach } from '../context.ts';
import { timeOf } from '../job-options.ts';
import { showProgress } from '../progress.ts';
import { renderTable, timeText } from '../table.ts';
import { write } from '../terminal.ts';

const POLL_MS = 200;

interface Flags extends ReachFlags {
  readonly from?: string;
  readonly to?: string;
  readonly repair?: boolean;
}

export function verifyCommand(context: CliContext): Command {
  const command = new Command('verify')
    .description(
      'compare what a sink’s database holds with its topics; exit code 1 when they differ',
    )
    .argument('<sink>', 'a sink in InfluxDB or KairosDB’s store, as `tidemark backlog` names it')
    .option('--from <time>', 'ms or ISO 8601 (default: the first record)')
    .option('--to <time>', 'ms or ISO 8601, exclusive (default: behind the last record)')
    .option('--repair', 'write again what is missing or different, then compare again');
  return withReach(command).action(async (sink: string, flags: Flags) => {
    const from = await timeOf('--from', flags.from);
    const to = await timeOf('--to', flags.to);
    const request: VerifyRequest = {
      sink,
      ...(from === undefined ? {} : { from }),
      ...(to === undefined ? {} : { to }),
      ...(flags.repair === undefined ? {} : { repair: flags.repair }),
    };
    return withClient(context, flags, async (client) => {
      const { terminal } = context;
      let job = await client.post<JobView>('/v1/jobs', { kind: 'verify', input: request });
      const path = `/v1/jobs/${encodeURIComponent(job.id)}`;
      const progress = await showProgress(terminal, 'points');
      while (job.state === 'planning' || job.state === 'running') {
        if (job.state === 'running') progress.update(job.progress.done, job.progress.total);
        await terminal.clock.sleep(POLL_MS, terminal.stopped).catch(() => {});
        job = terminal.stopped.aborted
          ? await client.delete<JobView>(path)
          : await client.get<JobView>(path);
        if (terminal.stopped.aborted) break;
      }
      progress.stop();
      const report = await client.get<JobReport>(`${path}/report`);
      const { reportText } = await import('../../jobs/index.ts');
      const text = flags.json
        ? JSON.stringify(report)
        : `${reportText(report)}${hoursText(report)}`;
      await write(terminal.stdout, `${text}\n`);
      if (report.state !== 'done') {
        throw new FatalError(
          report.error?.message ?? report.failures[0]?.message ?? `the job was ${report.state}`,
          { code: report.error?.code ?? report.failures[0]?.code ?? 'JOB_INTERRUPTED' },
        );
      }
      // A unit tells its differences, and nothing else, as notes.
      if (report.noteCount > 0) context.fail();
    });
  });
}

/** The hours in which something differs or was repaired; the JSON report has all. */
function hoursText({ results }: JobReport): string {
  const hours = results
    .map(({ result }) => result as VerifyResult)
    .filter((r) => r.missing + r.different + r.extra + r.repaired > 0);
  if (hours.length === 0) return '';
  const table = renderTable(
    ['from', 'to', 'expected', 'stored', 'missing', 'different', 'extra', 'repaired'],
    hours.map((r) => [
      timeText(r.fromMs),
      timeText(r.toMs),
      r.expected,
      r.stored,
      r.missing,
      r.different,
      r.extra,
      r.repaired,
    ]),
  );
  return `\n${table.trimEnd()}`;
}
