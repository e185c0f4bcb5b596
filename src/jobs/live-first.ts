/** How whatever reads the log again beside the live stream lets that go first. */
import type { Clock } from '../runtime/index.ts';

/** Live lag, in records, that may be there without waiting. */
const LAG_TOLERATED = 5_000;

/** Between batches: lets the event loop turn, and waits while live is behind. Rejects when `signal` aborts meanwhile. */
export async function liveFirst(
  { clock, liveLag }: { readonly clock: Clock; readonly liveLag: () => number },
  signal: AbortSignal,
): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  while (liveLag() > LAG_TOLERATED) await clock.sleep(50, signal);
}
