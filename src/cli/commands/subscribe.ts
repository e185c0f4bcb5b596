/** `tidemark subscribe TOPIC`: a topic's records as NDJSON, live, until stopped or counted out. */
import { Command } from 'commander';
import { FatalError, messageOf, TidemarkError } from '../../model/index.ts';
import type { Client } from '../client.ts';
import { type CliContext, type ReachFlags, withClient, withReach } from '../context.ts';
import { readEvents, valueText } from '../event-stream.ts';
import { write } from '../terminal.ts';
import { wholeNumber } from '../usage.ts';

/** How often a lost feed is taken up again before giving up, one second apart. */
const RESUMES_MAX = 30;
const RESUME_WAIT_MS = 1_000;

interface Flags extends ReachFlags {
  readonly from?: string;
  readonly count?: number;
  readonly partition?: number;
  readonly withMetadata?: boolean;
}

export function subscribeCommand(context: CliContext): Command {
  const command = new Command('subscribe')
    .description('print a topic’s records as NDJSON while they come')
    .argument('<topic>')
    .option('--from <position>', 'beginning, latest, an offset or a time (default: latest)')
    .option('--partition <number>', 'only this partition', wholeNumber(0))
    .option('--count <number>', 'end after so many records', wholeNumber(1))
    .option('--with-metadata', 'print partition, offset, key and timestamp too');
  return withReach(command).action((topic: string, flags: Flags) =>
    withClient(context, flags, (client) => subscribe(context, client, topic, flags)),
  );
}

async function subscribe(
  context: CliContext,
  client: Client,
  topic: string,
  flags: Flags,
): Promise<void> {
  const { terminal } = context;
  const query = new URLSearchParams();
  if (flags.from !== undefined) query.set('from', flags.from);
  if (flags.partition !== undefined) query.set('partition', String(flags.partition));
  const path = `/v1/topics/${encodeURIComponent(topic)}/records?${query}`;
  const ended = new AbortController();
  const signal = AbortSignal.any([terminal.stopped, ended.signal]);
  let left = flags.count ?? Number.POSITIVE_INFINITY;
  let lastEventId = '';
  let failures = 0;

  while (left > 0 && !signal.aborted) {
    try {
      const headers = {
        accept: 'text/event-stream',
        ...(lastEventId === '' ? {} : { 'last-event-id': lastEventId }),
      };
      const stream = await client.stream(path, { headers, signal });
      for await (const { type, id, data } of readEvents(stream)) {
        if (type === 'error') throw feedError(data);
        failures = 0;
        if (data !== '') {
          await write(terminal.stdout, `${flags.withMetadata ? data : valueText(data)}\n`);
          left--;
        }
        lastEventId = id;
        if (left === 0 || signal.aborted) break;
      }
    } catch (error) {
      if (signal.aborted) break;
      const isRefusal = error instanceof TidemarkError && error.code !== 'ENGINE_UNREACHABLE';
      if (isRefusal || lastEventId === '') throw error;
      if (failures >= RESUMES_MAX) {
        throw new FatalError(`the feed of ${topic} ended: ${messageOf(error)}`, {
          code: 'ENGINE_UNREACHABLE',
          cause: error,
        });
      }
    }
    if (left === 0 || signal.aborted) break;
    if (failures++ >= RESUMES_MAX) {
      throw new FatalError(`the feed of ${topic} ended and could not be resumed`, {
        code: 'ENGINE_UNREACHABLE',
      });
    }
    await terminal.clock.sleep(RESUME_WAIT_MS, signal).catch(() => {});
  }
  ended.abort();
}

function feedError(data: string): FatalError {
  const { detail, code } = JSON.parse(data) as { detail: string; code: string };
  return new FatalError(detail, { code });
}
