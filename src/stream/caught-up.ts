/** Whether there is nothing more to read, as far as the log has lately said. */
import type { PartitionPosition } from '../broker/index.ts';

/**
 * Shorter than any pause after which a partition counts as idle: when a process wakes from a longer sleep, it
 * must first hear of what was appended meanwhile. Brokers confirm several times a second.
 */
const CONFIRMED_WITHIN_MS = 2_000;

/** `positions`: of one partition number, all its topics; false when there are none. */
export function isCaughtUp(positions: readonly PartitionPosition[], nowMs: number): boolean {
  return (
    positions.length > 0 &&
    positions.every(
      ({ nextOffset, endOffset, confirmedAtMs }) =>
        nextOffset >= endOffset && nowMs - confirmedAtMs < CONFIRMED_WITHIN_MS,
    )
  );
}
