/** How V8 collects, as it says itself. */
import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';

const heap = new URL('./heap.ts', import.meta.url).href;

/** The first full collections of a process in which objects become old all the time. */
function collectionsOf(setUp: string): string[] {
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
    for (let turn = 0; found < 10 || performance.now() - begun < 1_500; turn++) {
      held[turn % 40] = Array.from({ length: 5_000 }, (_, i) => ({ turn, i }));
      await new Promise((resolve) => setImmediate(resolve));
    }`;
  const flags = ['--trace-gc', '--max-semi-space-size=4', '--input-type=module', '-e', script];
  const { stdout, stderr, status } = spawnSync(process.execPath, flags, { encoding: 'utf8' });
  expect(status, stderr).toBe(0);
  return stdout.split('\n').filter((line) => line.includes('Mark-Compact'));
}

const isReducing = (line: string) => line.includes('(reduce)');

it('some full collections of a busy process give back what is empty, and others only collect', () => {
  const found = collectionsOf('collectOften();');
  expect(found.filter(isReducing).length).toBeGreaterThan(0);
  expect(found.filter((line) => !isReducing(line)).length).toBeGreaterThan(0);
});

it('left to itself V8 gives nothing back while it is busy', () => {
  expect(collectionsOf('').filter(isReducing)).toEqual([]);
});
