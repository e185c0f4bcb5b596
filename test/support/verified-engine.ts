/** An engine in this process whose sinks are verified as users do it, by the command. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { KairosStore } from '../../src/databases/kairos/index.ts';
import type { JobReport, VerifyResult } from '../../src/jobs/index.ts';
import { type Engine, type EngineOptions, startEngine } from '../../src/main.ts';
import { loadSettings, silentLogger } from '../../src/runtime/index.ts';
import { runCommand } from './command.ts';

export type Reported = Omit<JobReport, 'results'> & {
  readonly results: readonly { readonly result: VerifyResult }[];
};

export interface VerifiedEngine {
  readonly engine: Engine;
  readonly data: string;
  readonly store: KairosStore;
  verify(sink: string, ...words: string[]): Promise<{ code: number; report: Reported }>;
  /** Stops it, lets `meanwhile` do to its data what it likes, and starts it again. */
  restarted(meanwhile: () => Promise<unknown>): Promise<VerifiedEngine>;
  close(): Promise<void>;
}

export async function verifiedEngine(
  environment: Readonly<Record<string, string | undefined>>,
  options: Pick<EngineOptions, 'roles' | 'topologies' | 'feeds'>,
  known?: string,
): Promise<VerifiedEngine> {
  const data = known ?? (await mkdtemp(join(tmpdir(), 'tidemark-verify-')));
  const { settings } = loadSettings({
    environment: {
      TIDEMARK_EPOCH_INTERVAL_MS: '50',
      TIDEMARK_PARTITIONS: '2',
      TIDEMARK_TELNET_PORT: '0',
      ...environment,
    },
    flags: { data, port: '0' },
  });
  const engine = await startEngine(settings, {
    roles: ['engine', 'sinks', 'api'],
    ...options,
    logger: silentLogger,
  });
  return {
    engine,
    data,
    store: engine.view.kairos as KairosStore,
    async verify(sink, ...words) {
      const all = ['verify', sink, '--url', engine.url ?? '', '--json', ...words];
      const { code, out, err } = await runCommand(all);
      if (out === '') throw new Error(err);
      return { code, report: JSON.parse(out) as Reported };
    },
    async restarted(meanwhile) {
      await engine.stop();
      await meanwhile();
      return verifiedEngine(environment, options, data);
    },
    async close() {
      await engine.stop();
      await rm(data, { recursive: true, force: true });
    },
  };
}

export const clean = { missing: 0, different: 0, extra: 0, repaired: 0 };

/** Over all hours. */
export const sums = ({ results }: Reported) => {
  const of = (name: keyof VerifyResult) =>
    results.reduce((sum, { result }) => sum + (result[name] as number), 0);
  return {
    expected: of('expected'),
    missing: of('missing'),
    different: of('different'),
    extra: of('extra'),
    repaired: of('repaired'),
  };
};

export const hoursThatDiffer = ({ results }: Reported) =>
  results
    .map(({ result }) => result)
    .filter((r) => r.expectedHash !== r.storedHash)
    .map(({ fromMs }) => new Date(fromMs).toISOString().slice(0, 13));
