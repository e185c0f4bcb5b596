/** What a process measures of itself for the rules of its own health [V10]. */
import { statfs } from 'node:fs/promises';
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import type { HealthRecord } from '../../topologies/index.ts';
import { takeSlowestAnswerMs } from '../api/index.ts';
import type { Clock } from '../runtime/index.ts';
import type { Task } from '../stream/index.ts';
import type { BoundFeed } from './feeds.ts';

export interface Measured {
  readonly feeds: readonly BoundFeed[];
  readonly topologies: readonly { readonly name: string; readonly tasks: readonly Task[] }[];
}

export class HealthValues {
  readonly #directory: string;
  readonly #clock: Clock;
  readonly #failingSince = new Map<string, number>();
  readonly #rejected = new Map<string, number>();

  constructor(directory: string, clock: Clock) {
    this.#directory = resolve(directory);
    this.#clock = clock;
  }

  async measure({ feeds, topologies }: Measured): Promise<HealthRecord> {
    const now = this.#clock.now();
    const values: { measure: string; of?: string; value: number }[] = [];
    for (const { feed, delivery } of feeds) {
      const state = delivery?.state();
      if (state === undefined) continue;
      if (state.lastError === null) this.#failingSince.delete(feed.name);
      else if (!this.#failingSince.has(feed.name))
        this.#failingSince.set(feed.name, state.lastError.atMs);
      const since = this.#failingSince.get(feed.name);
      const failing = since === undefined ? 0 : (now - since) / 1_000;
      values.push({ measure: 'sink.failing', of: feed.name, value: failing });
      const before = this.#rejected.get(feed.name) ?? 0;
      this.#rejected.set(feed.name, state.rejected);
      const rejected = state.rejected - before;
      values.push({ measure: 'sink.rejected', of: feed.name, value: rejected });
    }
    for (const { name, tasks } of topologies) {
      const lag = tasks.flatMap((task) => task.offsets()).reduce((sum, each) => sum + each.lag, 0);
      values.push({ measure: 'engine.lag', of: name, value: lag });
    }
    const disk = await this.#diskUsedPercent();
    if (disk !== undefined) values.push({ measure: 'engine.disk', value: disk });
    values.push({ measure: 'query.slow', value: takeSlowestAnswerMs() / 1_000 });
    return { process: `${hostname()} ${this.#directory}`, timestamp: now, values };
  }

  /** undefined where the system does not tell. */
  async #diskUsedPercent(): Promise<number | undefined> {
    try {
      const { blocks, bavail } = await statfs(this.#directory);
      return blocks === 0 ? undefined : Math.round((1 - bavail / blocks) * 10_000) / 100;
    } catch {
      return undefined;
    }
  }
}
