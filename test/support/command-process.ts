/** One command of the program in a process of its own, so that it can be killed. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const tidemark = fileURLToPath(new URL('../../bin/tidemark', import.meta.url));

export class CommandProcess {
  /** Both outputs, as they came. */
  printed = '';
  readonly #child: ChildProcess;
  readonly #closed: Promise<unknown>;

  constructor(words: readonly string[], environment: Readonly<Record<string, string>> = {}) {
    this.#child = spawn(process.execPath, [tidemark, ...words], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env.PATH, LOG_LEVEL: 'warn', ...environment },
    });
    const print = (bytes: Buffer) => {
      this.printed += bytes;
    };
    this.#child.stdout?.on('data', print);
    this.#child.stderr?.on('data', print);
    this.#closed = once(this.#child, 'close');
  }

  get isAlive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** kill -9; resolves when it is gone. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#closed;
  }

  /** Resolves with the exit code when it ends by itself. */
  async exit(): Promise<number | null> {
    await this.#closed;
    return this.#child.exitCode;
  }
}
