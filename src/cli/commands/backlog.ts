/** `tidemark backlog [flush|clear|pause|resume]`: what sinks have yet to store; try them now, give it up, hold them. */
import { Command } from 'commander';
import type { BacklogView } from '../../api/index.ts';
import { FatalError } from '../../model/index.ts';
import { nearest } from '../../runtime/index.ts';
import type { Client } from '../client.ts';
import { type CliContext, type ReachFlags, withClient, withReach } from '../context.ts';
import { renderTable } from '../table.ts';
import { write } from '../terminal.ts';

export function backlogCommand(context: CliContext): Command {
  const command = withReach(
    new Command('backlog').description(
      'what sinks have yet to store: list, flush, clear, pause, resume',
    ),
  ).action((flags: ReachFlags) =>
    withClient(context, flags, (client) => list(context, client, flags)),
  );
  command.addCommand(
    withReach(
      new Command('flush')
        .description('try sinks now, without waiting for their backoff')
        .argument('[sink...]', 'default: all'),
    ).action((sinks: string[], flags: ReachFlags) =>
      withClient(context, flags, (client) => flush(context, client, sinks, flags)),
    ),
  );
  command.addCommand(
    withReach(
      new Command('clear')
        .description('give up what sinks have yet to store; it counts as dropped')
        .argument('[sink...]', 'default: all'),
    ).action((sinks: string[], flags: ReachFlags) =>
      withClient(context, flags, (client) => clear(context, client, sinks, flags)),
    ),
  );
  for (const [verb, description] of [
    ['pause', 'stop writing to sinks; what comes waits'],
    ['resume', 'write to sinks again, from where they stopped'],
  ] as const) {
    command.addCommand(
      withReach(
        new Command(verb).description(description).argument('[sink...]', 'default: all'),
      ).action((sinks: string[], flags: ReachFlags) =>
        withClient(context, flags, (client) => hold(context, client, { verb, sinks, flags })),
      ),
    );
  }
  return command;
}

const backlogs = async (client: Client) =>
  (await client.get<{ sinks: BacklogView[] }>('/v1/backlog')).sinks;

async function list({ terminal }: CliContext, client: Client, flags: ReachFlags): Promise<void> {
  const sinks = await backlogs(client);
  const text = flags.json
    ? `${JSON.stringify({ sinks })}\n`
    : renderTable(
        ['sink', 'topic', 'points', 'bytes', 'oldest s', 'dropped', 'rejected', 'breaker', 'error'],
        sinks.map((s) => [
          s.sink,
          s.topic,
          s.points,
          s.bytes,
          s.oldestAgeMs === null ? null : Math.round(s.oldestAgeMs / 1_000),
          s.dropped,
          s.rejected,
          s.paused ? 'paused' : s.breaker,
          s.lastError,
        ]),
      );
  await write(terminal.stdout, text);
}

async function flush(
  context: CliContext,
  client: Client,
  named: readonly string[],
  flags: ReachFlags,
): Promise<void> {
  const results: { sink: string; flushed: boolean }[] = [];
  for (const sink of await chosen(client, named)) {
    results.push(await client.post(`/v1/backlog/${encodeURIComponent(sink)}/flush`));
  }
  const lines = results.map(({ sink, flushed }) =>
    flushed ? `${sink}: tried` : `${sink}: nothing was waiting`,
  );
  await print(context, flags, results, lines);
}

async function clear(
  context: CliContext,
  client: Client,
  named: readonly string[],
  flags: ReachFlags,
): Promise<void> {
  const results: { sink: string; dropped: number }[] = [];
  for (const sink of await chosen(client, named)) {
    results.push(await client.post(`/v1/backlog/${encodeURIComponent(sink)}/clear`));
  }
  await print(
    context,
    flags,
    results,
    results.map(({ sink, dropped }) => `${sink}: dropped ${dropped}`),
  );
}

async function hold(
  context: CliContext,
  client: Client,
  wanted: {
    readonly verb: 'pause' | 'resume';
    readonly sinks: readonly string[];
    readonly flags: ReachFlags;
  },
): Promise<void> {
  const { verb, sinks, flags } = wanted;
  const results: { sink: string; paused: boolean }[] = [];
  for (const sink of await chosen(client, sinks)) {
    results.push(await client.post(`/v1/backlog/${encodeURIComponent(sink)}/${verb}`));
  }
  const lines = results.map(({ sink, paused }) => `${sink}: ${paused ? 'paused' : 'resumed'}`);
  await print(context, flags, results, lines);
}

/** Those named, all of which must exist before any is touched; all when none is named. */
async function chosen(client: Client, named: readonly string[]): Promise<readonly string[]> {
  const known = (await backlogs(client)).map(({ sink }) => sink);
  for (const sink of named) {
    if (known.includes(sink)) continue;
    const near = nearest(sink, known);
    throw new FatalError(
      `there is no sink ${JSON.stringify(sink)}${near === undefined ? '' : `; did you mean ${near}?`}`,
      { code: 'UNKNOWN_SINK' },
    );
  }
  return named.length === 0 ? known : named;
}

async function print(
  { terminal }: CliContext,
  flags: ReachFlags,
  sinks: readonly object[],
  lines: readonly string[],
): Promise<void> {
  const text = flags.json ? JSON.stringify({ sinks }) : lines.join('\n');
  if (text !== '') await write(terminal.stdout, `${text}\n`);
}
