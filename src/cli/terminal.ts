/** What a command sees of the outside: streams, environment, clock and stop signals; tests give their own. */
import type { Readable, Writable } from 'node:stream';
import { type Clock, systemClock } from '../runtime/index.ts';
import { leave } from './leave.ts';

export interface Terminal {
  readonly stdin: Readable;
  readonly stdout: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  readonly stderr: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  /** Aborts at the first SIGINT, SIGTERM or SIGHUP, and when nobody reads stdout any more. */
  readonly stopped: AbortSignal;
}

/** npm, npx and the launcher pass on what their whole group, this process included, may have got already. */
const SAME_SIGNAL_MS = 2_000;

/** The process's own. A signal that comes two seconds and more after the first ends the process at once with code 1. */
export function processTerminal(): Terminal {
  const stop = new AbortController();
  let firstMs: number | undefined;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      const nowMs = performance.now();
      firstMs ??= nowMs;
      stop.abort(signal);
      if (nowMs - firstMs >= SAME_SIGNAL_MS) leave(1);
    });
  }
  // `tidemark subscribe | head`: the reader has what it wanted.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    stop.abort('EPIPE');
  });
  return {
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    environment: process.env,
    clock: systemClock,
    stopped: stop.signal,
  };
}

const HOLD_MS = 86_400_000;

/** Writes and waits until the stream takes more, so that memory stays bounded. */
export function write(stream: Writable, text: string | Buffer): Promise<void> {
  if (stream.destroyed || stream.writableEnded || stream.write(text)) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      for (const event of ['drain', 'close', 'error']) stream.off(event, done);
      resolve();
    };
    for (const event of ['drain', 'close', 'error']) stream.once(event, done);
  });
}

/** Resolves when the command is told to stop. Until then the process stays, though nothing else may hold it. */
export async function untilStopped({
  clock,
  stopped,
}: Pick<Terminal, 'clock' | 'stopped'>): Promise<void> {
  while (!stopped.aborted) await clock.sleep(HOLD_MS, stopped).catch(() => {});
}

/** Colours and bars are for people at a terminal who did not say no. */
export const isLively = (terminal: Terminal, stream: 'stdout' | 'stderr'): boolean =>
  terminal[stream].isTTY === true && !terminal.environment.NO_COLOR;
