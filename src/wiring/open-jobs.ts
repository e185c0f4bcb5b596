/** The durable jobs of an engine, in its data directory. */
import { join } from 'node:path';
import { Jobs, type JobsOptions } from '../jobs/index.ts';
import { TidemarkError } from '../model/index.ts';
import type { Settings } from '../runtime/index.ts';

/** Engines on Kafka may share a data directory; each has jobs of its own then. */
const ENGINES_MAX = 16;

export function openJobs(settings: Settings, options: Omit<JobsOptions, 'directory'>): Jobs {
  for (let number = 1; ; number++) {
    const name = number === 1 ? 'jobs' : `jobs.${number}`;
    try {
      return Jobs.open({ ...options, directory: join(settings.data, name) });
    } catch (error) {
      const isInUse = error instanceof TidemarkError && error.code === 'JOBS_IN_USE';
      if (!isInUse || number === ENGINES_MAX) throw error;
    }
  }
}
