/** `tidemark publish TOPIC`: NDJSON from a file or stdin into a topic. */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Command } from 'commander';
import { FatalError, messageOf } from '../../model/index.ts';
import { type CliContext, type ReachFlags, withClient, withReach } from '../context.ts';
import { LineSplitter } from '../lines.ts';
import { showProgress } from '../progress.ts';
import { Publisher } from '../publisher.ts';
import { write } from '../terminal.ts';

const LINE_BYTES_MAX = 16 * 1_024 * 1_024;

interface Flags extends ReachFlags {
  readonly file?: string;
}

export function publishCommand(context: CliContext): Command {
  const command = new Command('publish')
    .description('publish records: NDJSON, one record per line')
    .argument('<topic>')
    .option('--file <file>', 'read this file instead of stdin');
  return withReach(command).action((topic: string, flags: Flags) => publish(context, topic, flags));
}

async function publish(context: CliContext, topic: string, flags: Flags): Promise<void> {
  const { terminal } = context;
  const size = flags.file === undefined ? undefined : await sizeOf(flags.file);
  const input =
    flags.file === undefined
      ? terminal.stdin
      : createReadStream(flags.file, { highWaterMark: 1_024 * 1_024 });
  const published = await withClient(context, flags, async (client) => {
    const publisher = new Publisher(client, topic);
    const splitter = new LineSplitter(LINE_BYTES_MAX);
    const progress = await showProgress(terminal, 'bytes');
    let read = 0;
    try {
      for await (const chunk of input as AsyncIterable<Buffer | string>) {
        const bytes = Buffer.from(chunk as Buffer);
        read += bytes.length;
        const lines = splitter.push(bytes);
        if (lines !== undefined) await publisher.add(lines);
        if (size !== undefined) progress.update(read, size);
        if (terminal.stopped.aborted) break;
      }
      const last = splitter.end();
      if (last !== undefined && !terminal.stopped.aborted) await publisher.add(last);
      await publisher.flush();
    } finally {
      progress.stop();
    }
    return publisher.published;
  });
  const report = flags.json
    ? JSON.stringify({ topic, count: published })
    : `published ${published} records to ${topic}`;
  await write(terminal.stdout, `${report}\n`);
}

async function sizeOf(file: string): Promise<number> {
  try {
    return (await stat(file)).size;
  } catch (error) {
    throw new FatalError(`can't read ${file}: ${messageOf(error)}`, { code: 'FILE_UNREADABLE' });
  }
}
