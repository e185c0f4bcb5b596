/** How V8 collects, as it says itself. */
import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';

const heap = new URL('./heap.ts', import.meta.url).href;

/** The full collections of a process that has objects become old for two seconds. */
function collectionsOf(setUp: string): string[] {
  const script = `
    import { collectOften } from ${JSON.stringify(heap)};
    ${setUp}
    const end = performance.now() + 2_000;
    const held = [];
    for (let turn = 0; performance.now() < end; turn++) {
      held[turn % 40] = Array.from({ length: 5_000 }, (_, i) => ({ turn, i }));
      await new Promise((resolve) => setImmediate(resolve));
    }`;
  const flags = ['--trace-gc', '--max-semi-space-size=4', '--input-type=module', '-e', script];
  const { stdout, stderr, status } = spawnSync(process.execPath, flags, { encoding: 'utf8' });
  expect(status, stderr).toBe(0);
  return stdout.split('\n').filter((line) => line.includes('Mark-Compact'));
}

const isReducing = (line: string) => line.includes('(reduce)');

it('some full collections of a busy process give back what is empty, and most only collect', () => {
  const found = collectionsOf('collectOften();');
  const reducing = found.filter(isReducing);
  expect(reducing.length).toBeGreaterThan(0);
  expect(reducing.length).toBeLessThan(found.length / 2);
  expect(found.length).toBeGreaterThan(2 * collectionsOf('').length);
});
