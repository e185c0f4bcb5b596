/** How work on a job ends other than well: put down, or a unit given up. */
import { messageOf, TidemarkError } from '../model/index.ts';
import type { JobState } from './contract.ts';

/** `state`: what the job is from now on; absent: as it was, for the next process. */
export class Stopped extends Error {
  readonly state: JobState | undefined;
  constructor(state?: JobState) {
    super(`the job was ${state ?? 'put down'}`);
    this.state = state;
  }
}

/** A unit's last attempt failed; `attempts` in this process. */
export class UnitFailed extends Error {
  readonly attempts: number;
  constructor(cause: unknown, attempts: number) {
    super(messageOf(cause), { cause });
    this.attempts = attempts;
  }
}

/** What the views show of anything thrown. */
export const explain = (error: unknown): { code: string; message: string } => ({
  code: error instanceof TidemarkError ? error.code : 'INTERNAL',
  message: messageOf(error),
});
