/**
 * How V8 looks after the memory of a program, by what it runs. Flags of V8's that are known to be there in Node 24, and
 * only there.
 */
import { constants, type PerformanceEntry, PerformanceObserver } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';

const isKnown = process.versions.node.startsWith('24.');

/**
 * For records that pass through. V8 takes objects that outlived a few young collections while a process was busy for
 * ones that stay, makes their like among the old ever after, and what they refer to stays with them: all records, points
 * and their bytes waited for a full collection (0055). So none is made there. Between two full collections the heap may
 * grow to four times what was held: V8's own bound, which it lowers the less there is to collect.
 *
 * Bytes outside the heap count towards its limit, and don't have one of their own, 64 MiB above the last collection:
 * half the long pauses of an engine that holds much (0049).
 */
export function collectSeldom(): void {
  if (!isKnown) return;
  setFlagsFromString('--no-allocation-site-pretenuring');
  setFlagsFromString('--heap-growing-percent=300');
  setFlagsFromString('--external-memory-accounted-in-global-limit');
}

/**
 * Without topologies a process holds little, and a collection is short; but V8 would let garbage grow to several times
 * what is held. For those that only take points in, answer queries or fill databases (0050).
 */
export function collectOften(): void {
  if (!isKnown) return;
  setFlagsFromString('--heap-growing-percent=30');
  giveBackPages();
}

const REDUCE_MS = 500;
/** So long the next collection is waited for, and then none comes soon. */
const REDUCING_MS_MAX = 2_000;

/**
 * V8 keeps each page of its heap that a full collection emptied, however many, until one is to reduce memory: of itself
 * once nobody has wanted anything for seconds, or every one with `optimize-for-size`, which costs a busy process a
 * third of its processor time again. So one of those that come in a second is told to (0060).
 */
function giveBackPages(): void {
  let hasCollected = false;
  let reducingFromMs: number | undefined;
  const reduce = (on: boolean) => {
    reducingFromMs = on ? performance.now() : undefined;
    setFlagsFromString(on ? '--optimize-for-size' : '--no-optimize-for-size');
  };
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries() as CollectionEntry[]) {
      if (entry.detail.kind !== constants.NODE_PERFORMANCE_GC_MAJOR) continue;
      if (reducingFromMs === undefined) hasCollected = true;
      else reduce(false);
    }
  }).observe({ type: 'gc' });
  setInterval(() => {
    // Not while nothing is collected: what is loaded with another flag set is not taken from the compile cache.
    if (reducingFromMs === undefined) {
      if (hasCollected) reduce(true);
    } else if (performance.now() - reducingFromMs > REDUCING_MS_MAX) reduce(false);
    hasCollected = false;
  }, REDUCE_MS).unref();
}

/** Node's types don't have it. */
type CollectionEntry = PerformanceEntry & { readonly detail: { readonly kind: number } };
