/**
 * In which order test files run: those that are known to take longest first, so that no core is idle while the last
 * of them ends. vitest itself goes by size where it has not run before, as in a clean clone, and size says little of
 * tests that start whole programs. A file that is not named here only runs later.
 */
import { BaseSequencer, type TestSpecification } from 'vitest/node';

const LONGEST = [
  'house/docs',
  'integration/engine-http',
  'integration/engine-replays',
  'integration/dashboard',
  'house/package',
  'house/guide',
  'integration/engine-rollups',
  'integration/replay-diff',
  'integration/migrate-votes',
  'integration/query-memory',
  'integration/verify-stores',
  'integration/prometheus',
  'integration/refused-notification',
  'topologies/alert-accuracy',
  'topologies/vote-latency',
  'topologies/fleet-metrics',
  'detectors/detectors',
  'cli/program',
  'kairos/operations',
];

const place = ({ moduleId }: TestSpecification): number => {
  const at = LONGEST.findIndex((name) => moduleId.endsWith(`/${name}.test.ts`));
  return at < 0 ? LONGEST.length : at;
};
const group = ({ project }: TestSpecification): number => project.config.sequence.groupOrder;

export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const usual = await super.sort(files);
    return usual.toSorted((a, b) => group(a) - group(b) || place(a) - place(b));
  }
}
