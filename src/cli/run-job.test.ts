/** What a job in the foreground says of itself where no bar can be shown. */
import { expect, test } from 'vitest';
import type { JobView } from '../jobs/index.ts';
import { lineOf } from './run-job.ts';

test('a job that can’t be planned yet says why', () => {
  const job = {
    kind: 'compare-kairos',
    state: 'planning',
    units: { total: 0, done: 0, failed: 0 },
    error: { code: 'COMPARE_UNREACHABLE', message: 'http://a: connect ECONNREFUSED' },
  } as Partial<JobView> as JobView;
  expect(lineOf(job)).toBe(
    'compare-kairos: planning, 0 units so far; http://a: connect ECONNREFUSED',
  );
  expect(lineOf({ ...job, error: null })).toBe('compare-kairos: planning, 0 units so far');
});
