/**
 * Follows a guide word by word: its marked code blocks become files, are run in order in one folder, and what
 * they print is compared with what the guide says they print.
 *
 *   ```ts file=mine.ts        written to the folder
 *   ```sh run                 run by sh; must exit 0
 *   ```sh run background      started; must print the lines of its output block; stopped at the end
 *   ```sh run fails           run by sh; must exit 1
 *   ```sh run eventually      run again until it prints what it should, for some seconds
 *   ```text output            what the block before printed; … stands for anything
 *   ```text output test       only node:test's ✔ lines, without durations
 *
 * Blocks without a mark are for reading. Port 8080 in commands and outputs stands for a free one.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePorts } from './servers/ports.ts';

export interface Block {
  readonly line: number;
  readonly language: string;
  /** Words after the language. */
  readonly marks: readonly string[];
  readonly text: string;
}

export function blocksOf(markdown: string): readonly Block[] {
  const blocks: Block[] = [];
  const fence = /^```(\S+)(.*)\n([\s\S]*?)^```$/gm;
  for (const match of markdown.matchAll(fence)) {
    blocks.push({
      line: markdown.slice(0, match.index).split('\n').length,
      language: match[1] as string,
      marks: (match[2] as string).split(' ').filter((word) => word !== ''),
      text: match[3] as string,
    });
  }
  return blocks;
}

export interface Followed {
  readonly line: number;
  readonly command: string;
  readonly printed: string;
  readonly expected: string | undefined;
}

export interface FollowOptions {
  /** Where the guide is followed; empty at its beginning. */
  readonly folder: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Called with each command's outcome; throws when it is not as it should be. */
  readonly see: (followed: Followed) => void;
}

const BACKGROUND_WITHIN_MS = 90_000;
const COMMAND_WITHIN_MS = 90_000;
/** More than everything takes that a stop waits for. */
const STOP_WITHIN_MS = 60_000;
const EVENTUALLY_WITHIN_MS = 45_000;
const EVENTUALLY_POLL_MS = 250;

/** Rejects at the first block that does not do what the guide says. */
export async function follow(markdown: string, options: FollowOptions): Promise<void> {
  const { folder } = options;
  const { http: port } = await freePorts(['http']);
  const environment = { ...options.environment, TIDEMARK_PORT: String(port), LOG_LEVEL: 'warn' };
  const outward = (text: string) => text.replaceAll(`:${port}`, ':8080');
  const inward = (text: string) => text.replaceAll(':8080', `:${port}`);
  const blocks = blocksOf(markdown);
  const background: Background[] = [];
  const stopped = () => background.map((started) => started.stop());
  try {
    for (const [at, block] of blocks.entries()) {
      const file = block.marks.find((mark) => mark.startsWith('file='))?.slice('file='.length);
      if (file !== undefined) {
        await mkdir(dirname(join(folder, file)), { recursive: true });
        await writeFile(join(folder, file), block.text);
      }
      if (!block.marks.includes('run')) continue;
      const next = blocks[at + 1];
      const output = next?.marks[0] === 'output' ? next : undefined;
      const command = inward(block.text);
      const place = { cwd: folder, env: environment };
      const isTest = output?.marks.includes('test') === true;
      const see = (printed: string) =>
        options.see({
          line: block.line,
          command: block.text.trim(),
          printed: outward(isTest ? checksOf(printed) : printed.trim()),
          expected: output?.text.trim(),
        });
      if (block.marks.includes('background')) {
        const started = new Background(command, place);
        background.push(started);
        see(await started.printed(output?.text.trim().split('\n').length ?? 0));
      } else {
        const code = block.marks.includes('fails') ? 1 : 0;
        const attempt = async () => see(await shell(command, place, code));
        if (block.marks.includes('eventually')) await eventually(attempt);
        else await attempt();
      }
    }
  } catch (error) {
    // What went wrong first is told, whatever goes wrong behind it.
    await Promise.allSettled(stopped());
    throw error;
  }
  await Promise.all(stopped());
}

/** Resolves when an attempt does; rejects as the last one does when time is over. */
async function eventually(attempt: () => Promise<void>): Promise<void> {
  for (let waitedMs = 0; waitedMs < EVENTUALLY_WITHIN_MS; waitedMs += EVENTUALLY_POLL_MS) {
    try {
      return await attempt();
    } catch {
      await sleep(EVENTUALLY_POLL_MS);
    }
  }
  await attempt();
}

/** The guide's text as a pattern: … stands for anything. */
export function patternOf(expected: string): RegExp {
  const literal = (text: string) => text.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
  return new RegExp(`^${expected.split('…').map(literal).join('[\\s\\S]*?')}$`);
}

const checksOf = (printed: string): string =>
  printed
    .split('\n')
    .filter((line) => /^[✔✖]/.test(line))
    .map((line) => line.replace(/ \([\d.]+ms\)$/, ''))
    .join('\n');

interface Place {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
}

async function shell(command: string, place: Place, expectedCode: number): Promise<string> {
  const child = spawn('sh', ['-e', '-c', command], {
    ...place,
    env: { ...place.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  const late = setTimeout(() => process.kill(-(child.pid as number), 'SIGKILL'), COMMAND_WITHIN_MS);
  const [code, signal] = await once(child, 'close');
  clearTimeout(late);
  if (code !== expectedCode) {
    const ended = signal === null ? `exit ${code}` : `no end within ${COMMAND_WITHIN_MS} ms`;
    throw new Error(`${ended} instead of exit ${expectedCode}: ${command}\n${stdout}\n${stderr}`);
  }
  return stdout;
}

/** A command that goes on while the guide does. */
class Background {
  readonly #child: ChildProcess;
  readonly #closed: Promise<unknown>;
  #stdout = '';
  #stderr = '';

  constructor(command: string, place: Place) {
    // A group of its own, so that npx and what it starts get the signal together.
    this.#child = spawn('sh', ['-c', command], {
      ...place,
      env: { ...place.env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    this.#closed = once(this.#child, 'close');
    this.#child.stdout?.setEncoding('utf8').on('data', (text) => {
      this.#stdout += text;
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text) => {
      this.#stderr += text;
    });
  }

  /** Resolves when so many lines were printed. */
  async printed(lines: number): Promise<string> {
    const late = AbortSignal.timeout(BACKGROUND_WITHIN_MS);
    const ended = this.#closed.then(() => 'ended');
    while (this.#stdout.split('\n').length <= lines) {
      if (late.aborted) throw new Error(`printed too little in time:\n${this.#report()}`);
      const data = once(this.#child.stdout as NonNullable<ChildProcess['stdout']>, 'data', {
        signal: late,
      }).catch(() => 'late');
      if ((await Promise.race([data, ended])) === 'ended')
        throw new Error(`ended early:\n${this.#report()}`);
    }
    return this.#stdout;
  }

  async stop(): Promise<void> {
    const { pid } = this.#child;
    if (pid === undefined || this.#child.exitCode !== null) return;
    process.kill(-pid, 'SIGTERM');
    let isHanging = false;
    const late = setTimeout(() => {
      isHanging = true;
      process.kill(-pid, 'SIGKILL');
    }, STOP_WITHIN_MS);
    await this.#closed;
    clearTimeout(late);
    if (isHanging) throw new Error(`did not stop in time:\n${this.#report()}`);
  }

  #report(): string {
    return `${this.#stdout}\n${this.#stderr}`;
  }
}
