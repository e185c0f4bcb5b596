/** One command of the program, run in this process. */
import { Readable, Writable } from 'node:stream';
import { runProgram } from '../../src/cli/index.ts';
import { systemClock } from '../../src/runtime/index.ts';

export interface CommandOutcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export async function runCommand(
  words: readonly string[],
  options: {
    readonly environment?: Readonly<Record<string, string | undefined>>;
    readonly signal?: AbortSignal;
  } = {},
): Promise<CommandOutcome> {
  const texts = { out: '', err: '' };
  const collect = (name: 'out' | 'err') =>
    new Writable({
      write(chunk, _, done) {
        texts[name] += chunk;
        done();
      },
    });
  const code = await runProgram(words, {
    terminal: {
      stdin: Readable.from([]),
      stdout: collect('out'),
      stderr: collect('err'),
      environment: { LOG_LEVEL: 'silent', ...options.environment },
      clock: systemClock,
      stopped: options.signal ?? new AbortController().signal,
    },
  });
  return { code, ...texts };
}
