/** When each life of a program ends: seeded, so that a run that failed can be run again; CRASH_SEED gives others. */
import { seededRandom } from '../../src/collect/index.ts';

export interface Kill {
  /** Most kills fall while it works; some while it starts. */
  readonly from: 'start' | 'listening';
  readonly delayMs: number;
}

const base = Number(process.env.CRASH_SEED ?? 20_261_121);

/** `which`: so that the tests of one run don't all kill alike. */
export function killSchedule(
  kills: number,
  which: number,
  { lifeMsMax = 1_000 } = {},
): readonly Kill[] {
  const random = seededRandom(base * 7 + which);
  return Array.from({ length: kills }, (_, kill) =>
    kill % 5 === 4
      ? { from: 'start', delayMs: 100 + (random() % 900) }
      : { from: 'listening', delayMs: random() % lifeMsMax },
  );
}
