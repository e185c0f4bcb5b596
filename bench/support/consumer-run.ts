/**
 * One run of a consumer in a process of its own, pinned to one core: from its start to the last record, by the
 * progress lines that it prints. Pinning needs `taskset`; without it the run goes unpinned and says so.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { createInterface } from 'node:readline';

/** What bench/entrant.ts and bench/raw-consumer.ts print every 25 ms. */
export interface Progress {
  /** Wall clock, ms. */
  readonly at: number;
  readonly records: number;
  readonly rssMiB: number;
  /** User and system, since the process began. */
  readonly cpuMs: number;
}

export interface ConsumerRun {
  /** From spawn to each of these, s. `committedS` is undefined where nothing is committed. */
  readonly firstRecordS: number;
  readonly processedS: number;
  readonly committedS: number | undefined;
  /** Records per second from the first sample past the half to the last record. */
  readonly warmRate: number;
  readonly cpuMs: number;
  readonly cpuBeforeFirstMs: number;
  readonly rssPeakMiB: number;
  /** At 25, 50, 75 and 100 % of the records. */
  readonly rssMiB: readonly number[];
}

export interface ConsumerRunOptions {
  /** One of ours in bench/, or the command line of another program that prints the same progress. */
  readonly script: 'entrant' | 'raw-consumer' | readonly string[];
  readonly records: number;
  readonly environment: Readonly<Record<string, string>>;
  /** Whether all is committed; asked again and again once all is processed. */
  committed?(): Promise<boolean>;
}

const GIVE_UP_MS = 300_000;

export const canPin: boolean = (() => {
  try {
    execFileSync('taskset', ['-p', String(process.pid)], { stdio: 'ignore' });
    return cpus().length > 1;
  } catch {
    return false;
  }
})();

export async function runConsumer(options: ConsumerRunOptions): Promise<ConsumerRun> {
  const { script, records, environment, committed } = options;
  const program =
    typeof script === 'string'
      ? [process.execPath, new URL(`../${script}.ts`, import.meta.url).pathname]
      : script;
  const pin = canPin ? ['taskset', '-c', String(cpus().length - 1)] : [];
  const [command = '', ...rest] = [...pin, ...program];
  const spawnedAt = Date.now();
  const child = spawn(command, rest, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...environment, BENCH_PROGRESS: '1' },
  });
  const samples: Progress[] = [];
  const done = await whenAll(child, samples, records);
  let committedS: number | undefined;
  if (committed !== undefined) {
    try {
      while (!(await committed())) await new Promise((resolve) => setTimeout(resolve, 10));
    } catch (error) {
      child.kill('SIGKILL');
      throw error;
    }
    committedS = (Date.now() - spawnedAt) / 1_000;
  }
  const peakMiB = Math.max(peakOf(child.pid), ...samples.map(({ rssMiB }) => rssMiB));
  child.kill('SIGTERM');
  const [code, signal] = await once(child, 'close');
  if (script === 'entrant' && code !== 0) throw new Error(`${script} ended with ${code ?? signal}`);

  const reaching = (count: number) => samples.find((s) => s.records >= count) as Progress;
  const half = reaching(records / 2);
  const first = reaching(1);
  return {
    firstRecordS: (first.at - spawnedAt) / 1_000,
    processedS: (done.at - spawnedAt) / 1_000,
    committedS,
    warmRate: ((records - half.records) / (done.at - half.at)) * 1_000,
    cpuMs: done.cpuMs,
    cpuBeforeFirstMs: first.cpuMs,
    rssPeakMiB: peakMiB,
    rssMiB: [0.25, 0.5, 0.75, 1].map((share) => reaching(share * records).rssMiB),
  };
}

/** Resolves with the first sample that has all records. */
async function whenAll(
  child: ChildProcess,
  samples: Progress[],
  records: number,
): Promise<Progress> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`not through after ${GIVE_UP_MS} ms: ${JSON.stringify(samples.at(-1))}`));
    }, GIVE_UP_MS);
    child.once('exit', (code) => {
      clearTimeout(timer);
      reject(new Error(`it ended with ${code} at ${JSON.stringify(samples.at(-1))}`));
    });
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
      if (!line.startsWith('{')) return;
      const sample = JSON.parse(line) as Progress;
      samples.push(sample);
      if (sample.records < records) return;
      clearTimeout(timer);
      resolve(sample);
    });
  });
}

/** The kernel's own peak, MiB; 0 where there is no /proc. */
function peakOf(pid: number | undefined): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    return Math.round(Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? 0) / 1_024);
  } catch {
    return 0;
  }
}
