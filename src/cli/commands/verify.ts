/** `tidemark verify SINK`: does a database hold what its topics say? Exit code 1 while it does not. */
import { Command } from 'commander';
import type { JobReport, VerifyRequest, VerifyResult } from '../../jobs/index.ts';
import { type CliContext, type ReachFlags, withClient, withReach } from '../context.ts';
import { timeOf } from '../job-options.ts';
import { renderTable, timeText } from '../table.ts';
import { write } from '../terminal.ts';
import { assertVerified, verifySink } from '../verify-sink.ts';

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
    .argument('<sink>', 'a sink, as `tidemark backlog` names it')
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
      const report = await verifySink(client, terminal, request);
      const { reportText } = await import('../../jobs/index.ts');
      const text = flags.json
        ? JSON.stringify(report)
        : `${reportText(report)}${hoursText(report)}`;
      await write(terminal.stdout, `${text}\n`);
      assertVerified(report);
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
