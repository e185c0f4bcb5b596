/** An invariant: a whole number within bounds. A breach is a bug of ours, never a user's mistake. */
export function assertInt(value: number, least: number, most: number, what: string): void {
  if (!Number.isInteger(value) || value < least || value > most) {
    throw new RangeError(`${what}: ${value} is not a whole number from ${least} to ${most}`);
  }
}
