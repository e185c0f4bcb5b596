/**
 * `tidemark up` on an embedded log of its own, with a probe in its event loop. NODE_OPTIONS of the caller are the
 * engine's too; LOOP_PROBE_PROFILE, a folder, has a CPU profile taken while the probe looks (figures then are worth
 * nothing).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

export class ProbedEngine {
  readonly url: string;
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #data: string;

  private constructor(child: ChildProcess, url: string, data: string) {
    this.#child = child;
    this.url = url;
    this.pid = child.pid as number;
    this.#data = data;
  }

  static async start(): Promise<ProbedEngine> {
    const data = await mkdtemp(join(tmpdir(), 'tidemark-bench-'));
    const tidemark = fileURLToPath(new URL('../../bin/tidemark', import.meta.url));
    const { PATH, NODE_OPTIONS = '', LOOP_PROBE_PROFILE } = process.env;
    const child = spawn(
      process.execPath,
      [tidemark, 'up', '--data', data, '--port', '0', '--telnet-port', '0'],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
        // No server of the surroundings: the embedded log and stores only.
        env: {
          PATH,
          LOG_LEVEL: 'warn',
          NODE_OPTIONS: `${NODE_OPTIONS} --import ${new URL('loop-probe.ts', import.meta.url)}`,
          LOOP_PROBE_OUT: join(data, 'loop.json'),
          ...(LOOP_PROBE_PROFILE === undefined ? {} : { LOOP_PROBE_PROFILE }),
        },
      },
    );
    try {
      return new ProbedEngine(child, await listening(child), data);
    } catch (error) {
      await rm(data, { recursive: true });
      throw error;
    }
  }

  beginProbe(): void {
    this.#child.kill('SIGUSR2');
  }

  /** How long timers waited since `beginProbe` (`p50`, `p99`, `p999`, `max`, ms), and the `cores` in use. */
  async endProbe(): Promise<Readonly<Record<string, number>>> {
    const file = join(this.#data, 'loop.json');
    this.#child.kill('SIGUSR2');
    while (!existsSync(file)) await sleep(50);
    return JSON.parse(await readFile(file, 'utf8')) as Record<string, number>;
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGTERM');
    await once(this.#child, 'close');
    await rm(this.#data, { recursive: true });
  }
}

/** The address that a server prints. */
export async function listening(child: ChildProcess): Promise<string> {
  for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
    const url = /^listening on (\S+)$/.exec(line)?.[1];
    if (url !== undefined) return url;
  }
  throw new Error('the server ended before it listened');
}
