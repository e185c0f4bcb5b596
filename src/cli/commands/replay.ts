/**
 * `tidemark replay NAME`: a topology or sink again, from offsets or times, as a job of the engine. A topology from a
 * file is run here, over the engine's records: an engine runs no code that it was not started with.
 */
import { Command } from 'commander';
import type { ReplayJob, ReplayRequest } from '../../api/index.ts';
import { FatalError } from '../../model/index.ts';
import type { Client } from '../client.ts';
import { type CliContext, type ReachFlags, withClient, withReach } from '../context.ts';
import { showProgress } from '../progress.ts';
import { isTopologyFile, replayFile } from '../replay-file.ts';
import { planReplay } from '../replay-plan.ts';
import { renderTable } from '../table.ts';
import { write } from '../terminal.ts';
import { collect, UsageError } from '../usage.ts';

const POLL_MS = 200;

interface Flags extends ReachFlags {
  readonly from: string;
  readonly to?: string;
  readonly into?: readonly string[];
  readonly diff?: boolean;
  readonly against?: readonly string[];
  readonly dryRun?: boolean;
}

export function replayCommand(context: CliContext): Command {
  const command = new Command('replay')
    .description('replay a topology or a sink from offsets or times, beside the live stream')
    .argument('<name>', 'a topology or a sink; with --diff also a file: ./mine.ts')
    .requiredOption('--from <position>', 'an offset, a time (ms or ISO 8601) or beginning')
    .option('--to <position>', 'an offset or a time, exclusive (default: the end)')
    .option('--into <sink>', 'write into this sink; may be repeated', collect)
    .option('--diff', 'compare with what is stored, write nothing; exit code 1 when they differ')
    .option(
      '--against <name>',
      'of a file: the topology that it would replace (default: of the same name)',
      collect,
    )
    .option('--dry-run', 'print what would be read');
  return withReach(command).action(async (name: string, flags: Flags) => {
    const request = await requestOf(name, flags);
    return withClient(context, flags, (client) =>
      isTopologyFile(name)
        ? fromFile(context, client, request, flags)
        : flags.dryRun
          ? dryRun(context, client, request, flags)
          : run(context, client, request, flags),
    );
  });
}

async function requestOf(name: string, flags: Flags): Promise<ReplayRequest> {
  if (flags.diff && flags.into !== undefined) {
    throw new UsageError('--diff writes nothing, so it goes without --into');
  }
  if (isTopologyFile(name) && !flags.diff && !flags.dryRun) {
    throw new UsageError('a topology from a file is only compared: add --diff');
  }
  if (flags.against !== undefined && !isTopologyFile(name)) {
    throw new UsageError('--against goes with a file');
  }
  return {
    name,
    from: await positionOf('--from', flags.from),
    ...(flags.to === undefined ? {} : { to: await positionOf('--to', flags.to) }),
    ...(flags.into === undefined ? {} : { into: flags.into }),
    ...(flags.diff === undefined ? {} : { diff: flags.diff }),
  };
}

/** Numbers of 13 digits and more are times in ms: no log is that long. */
async function positionOf(option: string, given: string): Promise<ReplayRequest['from']> {
  if (given === 'beginning') return { offset: 0 };
  if (/^\d{1,12}$/.test(given)) return { offset: Number(given) };
  // Loaded here, since that room brings the HTTP server with it.
  const { parseTime } = await import('../../api/index.ts');
  const time = /^\d/.test(given) ? parseTime(given) : undefined;
  if (time !== undefined) return { time };
  throw new UsageError(
    `${option}: expected an offset or a time (ms or ISO 8601), got ${JSON.stringify(given)}`,
  );
}

async function run(
  context: CliContext,
  client: Client,
  request: ReplayRequest,
  flags: Flags,
): Promise<void> {
  const { terminal } = context;
  let job = await client.post<ReplayJob>('/v1/replays', request);
  const path = `/v1/replays/${encodeURIComponent(job.id)}`;
  const progress = await showProgress(terminal, 'records');
  while (job.state === 'running') {
    progress.update(job.progress.done, job.progress.total);
    await terminal.clock.sleep(POLL_MS, terminal.stopped).catch(() => {});
    job = terminal.stopped.aborted
      ? await client.delete<ReplayJob>(path)
      : await client.get<ReplayJob>(path);
    if (terminal.stopped.aborted) break;
  }
  progress.stop();
  await report(context, job, flags);
}

async function report(
  context: CliContext,
  job: Omit<ReplayJob, 'id'>,
  flags: Flags,
): Promise<void> {
  const { terminal } = context;
  if (flags.json) {
    await write(terminal.stdout, `${JSON.stringify(job)}\n`);
  } else if (job.diff !== null && job.state === 'done') {
    const { diffLines } = await import('../../jobs/index.ts');
    const { compared, different } = job.diff;
    await write(terminal.stdout, `compared ${compared}, different ${different}\n`);
    for (const line of diffLines(job.diff)) await write(terminal.stderr, `${line}\n`);
  } else if (job.state === 'done') {
    const into = job.into.length === 0 ? '' : ` into ${job.into.join(', ')}`;
    await write(terminal.stdout, `replayed ${job.progress.done} records of ${job.name}${into}\n`);
  }
  if (job.diff !== null && job.diff.different > 0) context.fail();
  if (job.state === 'done') return;
  throw new FatalError(
    job.error === null
      ? `the replay was ${job.state} after ${job.progress.done} of ${job.progress.total} records`
      : `the replay failed: ${job.error.message}`,
    { code: job.error?.code ?? 'REPLAY_CANCELLED' },
  );
}

async function fromFile(
  context: CliContext,
  client: Client,
  request: ReplayRequest,
  flags: Flags,
): Promise<void> {
  const { topologies, compare } = await replayFile(
    context.terminal,
    client,
    request,
    flags.against,
  );
  for (const topology of topologies) {
    if (flags.dryRun) {
      const inputs = topology.sources.filter(({ stage }) => stage === 0);
      await dryRun(context, client, request, flags, new Set(inputs.map(({ topic }) => topic)));
    } else await report(context, await compare(topology), flags);
  }
}

async function dryRun(
  context: CliContext,
  client: Client,
  request: ReplayRequest,
  flags: Flags,
  inputs?: ReadonlySet<string>,
): Promise<void> {
  const plan = await planReplay(client, request, inputs);
  const records = plan.reduce((sum, { from, to }) => sum + to - from, 0);
  const text = flags.json
    ? `${JSON.stringify({ name: request.name, records, partitions: plan })}\n`
    : `${renderTable(
        ['topic', 'partition', 'from', 'to', 'records'],
        plan.map(({ topic, partition, from, to }) => [topic, partition, from, to, to - from]),
      )}would replay ${records} records\n`;
  await write(context.terminal.stdout, text);
}
