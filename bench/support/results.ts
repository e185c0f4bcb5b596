/** Results with what is needed to judge them: date, commit, machine, and how busy it was beside us. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';

/** One-minute load above this share of the cores before a measurement begins: others are at work. */
const NOISY_SHARE = 0.5;

export interface Noise {
  /** One-minute load average before our own work began. */
  readonly loadBefore: number;
  readonly noisy: boolean;
}

/** Ask before anything of the measurement runs. */
export function noiseNow(): Noise {
  const [loadBefore = 0] = loadavg();
  return {
    loadBefore: Number(loadBefore.toFixed(2)),
    noisy: loadBefore > cpus().length * NOISY_SHARE,
  };
}

/** Says it where the figures are printed. */
export function warnOfNoise({ loadBefore, noisy }: Noise): void {
  if (noisy) {
    process.stdout.write(
      `The machine is noisy: load average ${loadBefore} on ${cpus().length} cores before we began. Ratios hold better than rates.\n`,
    );
  }
}

/** Writes `bench/results/NAME.json`. */
export function writeResults(name: string, noise: Noise, figures: object): void {
  const folder = new URL('../results/', import.meta.url);
  mkdirSync(folder, { recursive: true });
  const file = new URL(`${name}.json`, folder);
  const whole = {
    bench: name,
    date: new Date().toISOString(),
    commit: commit(),
    machine: {
      cores: cpus().length,
      cpu: cpus()[0]?.model ?? 'unknown',
      memoryGiB: Math.round(totalmem() / 2 ** 30),
      node: process.version,
      platform: `${process.platform} ${process.arch}`,
    },
    ...noise,
    ...figures,
  };
  writeFileSync(file, `${JSON.stringify(whole, null, 2)}\n`);
  process.stdout.write(`bench/results/${name}.json written\n`);
}

/** Short hash; `+` when files that run differ from it. */
function commit(): string {
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const git = (...args: string[]) => execFileSync('git', args, { cwd: root, encoding: 'utf8' });
  try {
    const changed = git('status', '--porcelain', '--', 'src', 'topologies', 'bin', 'bench');
    const isChanged = changed.split('\n').some((line) => line !== '' && !line.includes('results/'));
    return `${git('rev-parse', '--short', 'HEAD').trim()}${isChanged ? '+' : ''}`;
  } catch {
    return 'unknown';
  }
}
