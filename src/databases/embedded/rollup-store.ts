/** The rollups of votes of this process on disk, for the history endpoints: by `scope:id` and network. */
import { days, type Rollup } from '../../model/index.ts';
import { type RollupStep, WindowStore } from './window-store.ts';

/** How long each step is kept, counted from the newest window stored [V3]. */
const KEEP_MS: Readonly<Record<RollupStep, number>> = {
  '5m': days(7),
  '1h': days(90),
  '1d': days(3_650),
};

export interface RollupQuery {
  readonly scope: string;
  readonly id: string;
  readonly step: RollupStep;
  /** Half-open, on window starts. */
  readonly from: number;
  readonly to: number;
}

export class RollupStore {
  readonly #windows: WindowStore<Rollup>;

  constructor(directory: string) {
    this.#windows = new WindowStore<Rollup>({
      directory,
      keepMs: KEEP_MS,
      seriesOf: ({ scope, id, network }) => ({ name: `${scope}:${id}`, series: network }),
    });
  }

  /** Durable when it resolves. An older revision never replaces a newer one. */
  put(rollups: readonly Rollup[]): Promise<void> {
    return this.#windows.put(rollups);
  }

  /** By window start. */
  read({ scope, id, ...range }: RollupQuery): AsyncGenerator<Rollup> {
    return this.#windows.read({ name: `${scope}:${id}`, ...range });
  }

  /** All of a step in a half-open range of window starts, in pages. */
  within(
    step: RollupStep,
    range: { readonly fromMs: number; readonly toMs: number },
  ): AsyncGenerator<readonly Rollup[]> {
    return this.#windows.within(step, range);
  }

  /** What is older of a step may be gone. */
  keptSinceMs(step: RollupStep): number {
    return this.#windows.keptSinceMs(step);
  }

  /** The newest rollup of a key that is stored; undefined when none is. */
  newest({ scope, id, step }: Pick<RollupQuery, 'scope' | 'id' | 'step'>): Rollup | undefined {
    return this.#windows.newest(`${scope}:${id}`, step);
  }

  close(): Promise<void> {
    return this.#windows.close();
  }
}
