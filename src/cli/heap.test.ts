/** How V8 collects, as it says itself. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { expect, it, onTestFinished } from 'vitest';

const heap = new URL('./heap.ts', import.meta.url).href;

/**
 * V8's line of each full collection of a process in which objects become old all the time: until `isEnough`, or without
 * it the first ten and those of 1,500 ms.
 */
async function collectionsOf(
  setUp: string,
  isEnough?: (found: readonly string[]) => boolean,
): Promise<string[]> {
  const script = `
    import { constants, PerformanceObserver } from 'node:perf_hooks';
    import { collectOften } from ${JSON.stringify(heap)};
    ${setUp}
    let found = 0;
    new PerformanceObserver((list) => {
      for (const { detail } of list.getEntries())
        if (detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR) found++;
    }).observe({ type: 'gc' });
    const begun = performance.now();
    const held = [];
    for (let turn = 0; ${isEnough !== undefined} || found < 10 || performance.now() - begun < 1_500; turn++) {
      held[turn % 40] = Array.from({ length: 5_000 }, (_, i) => ({ turn, i }));
      await new Promise((resolve) => setImmediate(resolve));
    }`;
  const flags = ['--trace-gc', '--max-semi-space-size=4', '--input-type=module', '-e', script];
  const child = spawn(process.execPath, flags, { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  const ended = once(child, 'close');
  const found: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.includes('Mark-Compact')) found.push(line);
    if (isEnough?.(found)) return found;
  }
  expect(await ended).toEqual([0, null]);
  return found;
}

const isReducing = (line: string) => line.includes('(reduce)');

it('some full collections of a busy process give back what is empty, and others only collect', async () => {
  // However long a busy machine takes for it, within the test's own bound.
  const isEnough = (found: readonly string[]) =>
    found.some(isReducing) && found.some((line) => !isReducing(line));
  const found = await collectionsOf('collectOften();', isEnough);
  expect(found.filter(isReducing).length).toBeGreaterThan(0);
  expect(found.filter((line) => !isReducing(line)).length).toBeGreaterThan(0);
});

it('left to itself V8 gives nothing back while it is busy', async () => {
  const found = await collectionsOf('');
  expect(found.length).toBeGreaterThanOrEqual(10);
  expect(found.filter(isReducing)).toEqual([]);
});
