import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { LongestFirst } from './test/support/longest-first.ts';

const node = { environment: 'node' as const, pool: 'forks' as const };
const servers = [
  'REQUIRE_SERVERS',
  'KAFKA_BROKERS',
  'CASSANDRA_HOSTS',
  'INFLUX_URL',
  'KAIROSDB_URL',
];
/** Tests that start programs wait more than they work: one more of them than there are cores keeps these busy. */
const beside = availableParallelism() + 1;
const hasServers = servers.some((name) => Boolean(process.env[name]));

/**
 * Four projects: `unit` (beside the code, seconds), `house` (rules of the tree, docs, packaging),
 * `integration` (across rooms; those that need real servers skip without them) and `crash` (kill -9). They run one
 * after the other, so that none is slowed by another. Integration tests take turns where they share servers; else
 * they run side by side with the house's, one more than there are cores, as both wait more than they work. In each,
 * what takes longest comes first.
 */
export default defineConfig({
  resolve: { conditions: ['tidemark-source'] },
  ssr: { resolve: { conditions: ['tidemark-source'] } },
  test: {
    // A fifth of a second of work or more: properties with many runs, long simulations, processes. `npm run check` leaves them out.
    tags: [{ name: 'heavy' }],
    globalSetup: ['test/support/installed.ts'],
    setupFiles: ['test/support/properties.ts'],
    sequence: { sequencer: LongestFirst },
    // Looks often and waits long: vitest's own second is short on a busy machine.
    expect: { poll: { timeout: 30_000, interval: 20 } },
    projects: [
      {
        extends: true,
        test: {
          ...node,
          name: 'unit',
          // Both cores of a small machine: vitest would leave one free.
          maxWorkers: '100%',
          // Modules are loaded once per worker, not once per file: no unit test changes what others see.
          isolate: false,
          include: [
            'src/**/*.test.ts',
            'topologies/**/*.test.ts',
            'test/properties/**/*.test.ts',
            'test/topologies/**/*.test.ts',
            'test/golden/**/*.test.ts',
          ],
          testTimeout: 60_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          ...node,
          name: 'house',
          maxWorkers: beside,
          include: ['test/house/**/*.test.ts'],
          testTimeout: 120_000,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: {
          ...node,
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 180_000,
          ...(hasServers
            ? { sequence: { groupOrder: 2 }, fileParallelism: false }
            : // Most files skip then, and loading the product once per file would be most of their time.
              { sequence: { groupOrder: 1 }, maxWorkers: beside, isolate: false }),
        },
      },
      {
        extends: true,
        test: {
          ...node,
          name: 'crash',
          include: ['test/crash/**/*.test.ts'],
          sequence: { groupOrder: 3 },
          testTimeout: 600_000,
          hookTimeout: 180_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
