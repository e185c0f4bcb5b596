/** When each life of a program ends: seeded, so that a run that failed can be run again. */
import { seededRandom } from '../../src/collect/seeded-random.ts';

export interface Kill {
  /** Most kills fall while it works; some while it starts. */
  readonly from: 'start' | 'listening';
  readonly delayMs: number;
}

export function killSchedule(
  kills: number,
  seed: number,
  { lifeMsMax = 1_000 } = {},
): readonly Kill[] {
  const random = seededRandom(seed);
  return Array.from({ length: kills }, (_, kill) =>
    kill % 5 === 4
      ? { from: 'start', delayMs: 100 + (random() % 900) }
      : { from: 'listening', delayMs: random() % lifeMsMax },
  );
}
