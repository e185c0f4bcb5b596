/**
 * `tidemark dual-writing [MODE]`: which databases are written, and the switch between all and one alone [V8]; with
 * `--compare` a report on whether the two hold the same stream, each compared with the log that both are fed from.
 */
import { Command } from 'commander';
import type { JobReport, VerifyResult } from '../../jobs/index.ts';
import type { Client } from '../client.ts';
import { type CliContext, type ReachFlags, withClient, withReach } from '../context.ts';
import { timeOf } from '../job-options.ts';
import { renderTable, timeText } from '../table.ts';
import { write } from '../terminal.ts';
import { oneOf, UsageError } from '../usage.ts';
import { assertVerified, verifySink } from '../verify-sink.ts';

interface DualWriting {
  readonly mode: string;
  readonly sinks: readonly { readonly sink: string; readonly paused: boolean }[];
}

interface Flags extends ReachFlags {
  readonly compare?: boolean;
  readonly from?: string;
  readonly to?: string;
}

const modes = ['dual', 'influx', 'kairos'] as const;

export function dualWritingCommand(context: CliContext): Command {
  return withReach(
    new Command('dual-writing')
      .description('which databases are written: all (dual), or influx or kairos alone')
      .argument('[mode]', 'dual, influx or kairos; absent: show', oneOf(modes))
      .option('--compare', 'report whether both hold the same; exit code 1 when they do not')
      .option('--from <time>', 'of --compare: ms or ISO 8601 (default: the first record)')
      .option('--to <time>', 'of --compare: ms or ISO 8601, exclusive (default: all)'),
  ).action(async (mode: string | undefined, flags: Flags) => {
    if (flags.compare && mode !== undefined) {
      throw new UsageError('--compare switches nothing, so it goes without a mode');
    }
    if (!flags.compare && (flags.from ?? flags.to) !== undefined) {
      throw new UsageError('--from and --to go with --compare');
    }
    await withClient(context, flags, (client) =>
      flags.compare ? compare(context, client, flags) : show(context, client, mode, flags),
    );
  });
}

async function show(
  context: CliContext,
  client: Client,
  mode: string | undefined,
  flags: Flags,
): Promise<void> {
  const state =
    mode === undefined
      ? await client.get<DualWriting>('/v1/dual-writing')
      : await client.put<DualWriting>('/v1/dual-writing', { mode });
  const rows = state.sinks.map(({ sink, paused }) => [sink, paused ? 'waits' : 'written']);
  const text = flags.json
    ? `${JSON.stringify(state)}\n`
    : `mode: ${state.mode}\n${renderTable(['sink', 'state'], rows)}`;
  await write(context.terminal.stdout, text);
}

/** An hour in one of the databases. */
type Hour = VerifyResult & { readonly sink: string };

const isWrong = ({ missing, different, extra }: Hour): boolean => missing + different + extra > 0;

async function compare(context: CliContext, client: Client, flags: Flags): Promise<void> {
  const { terminal } = context;
  const from = await timeOf('--from', flags.from);
  const to = await timeOf('--to', flags.to);
  const { sinks } = await client.get<DualWriting>('/v1/dual-writing');
  const reports: { readonly sink: string; readonly report: JobReport }[] = [];
  for (const { sink } of sinks) {
    const report = await verifySink(client, terminal, {
      sink,
      ...(from === undefined ? {} : { from }),
      ...(to === undefined ? {} : { to }),
    });
    assertVerified(report);
    reports.push({ sink, report });
  }
  const hours = reports.flatMap(({ sink, report }) =>
    report.results.map(({ result }): Hour => ({ sink, ...(result as VerifyResult) })),
  );
  const isSame = reports.every(({ report }) => report.noteCount === 0);
  const text = flags.json
    ? `${JSON.stringify({ same: isSame, sinks: reports })}\n`
    : compareText(
        sinks.map(({ sink }) => sink),
        hours,
        isSame,
      );
  await write(terminal.stdout, text);
  if (!isSame) context.fail();
}

function compareText(sinks: readonly string[], hours: readonly Hour[], isSame: boolean): string {
  const totals = sinks.map((sink) => {
    const mine = hours.filter((hour) => hour.sink === sink);
    const sum = (name: 'expected' | 'stored' | 'missing' | 'different' | 'extra' | 'waiting') =>
      mine.reduce((all, hour) => all + hour[name], 0);
    return [
      sink,
      sum('expected'),
      sum('stored'),
      sum('missing'),
      sum('different'),
      sum('extra'),
      sum('waiting'),
    ];
  });
  const head = ['expected', 'stored', 'missing', 'different', 'extra'];
  const wrong = hours.filter(isWrong);
  const found = wrong.map((h) => [
    h.sink,
    timeText(h.fromMs),
    h.expected,
    h.stored,
    h.missing,
    h.different,
    h.extra,
  ]);
  return [
    renderTable(['sink', ...head, 'waiting'], totals),
    found.length > 0 ? `\n${renderTable(['sink', 'hour', ...head], found)}` : '',
    isSame
      ? '\nboth hold what the log says\n'
      : '\nthey differ: `tidemark verify SINK` names the points, and with --repair writes them again\n',
  ].join('');
}
