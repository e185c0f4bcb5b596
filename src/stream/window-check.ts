/** What every window refuses before it begins: sizes and graces that make no sense, as FatalError WINDOW_INVALID. */
import { FatalError } from '../model/index.ts';

export function checkPositive(name: string, ms: number): void {
  if (!Number.isFinite(ms) || ms <= 0) {
    throw new FatalError(`window ${name} is ${ms}; give a positive number of milliseconds`, {
      code: 'WINDOW_INVALID',
    });
  }
}

export function checkNotNegative(name: string, ms: number): void {
  if (!Number.isFinite(ms) || ms < 0) {
    throw new FatalError(`window ${name} is ${ms}; give milliseconds, 0 or more`, {
      code: 'WINDOW_INVALID',
    });
  }
}
