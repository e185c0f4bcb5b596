/** A sink verified by the engine, watched until its report is there. */
import type { JobReport, JobView, VerifyRequest } from '../jobs/index.ts';
import { FatalError } from '../model/index.ts';
import type { Client } from './client.ts';
import { showProgress } from './progress.ts';
import type { Terminal } from './terminal.ts';

const POLL_MS = 200;

/** Ctrl-C cancels the job. */
export async function verifySink(
  client: Client,
  terminal: Terminal,
  request: VerifyRequest,
): Promise<JobReport> {
  let job = await client.post<JobView>('/v1/jobs', { kind: 'verify', input: request });
  const path = `/v1/jobs/${encodeURIComponent(job.id)}`;
  const progress = await showProgress(terminal, 'points');
  while (job.state === 'planning' || job.state === 'running') {
    if (job.state === 'running') progress.update(job.progress.done, job.progress.total);
    await terminal.clock.sleep(POLL_MS, terminal.stopped).catch(() => {});
    job = terminal.stopped.aborted
      ? await client.delete<JobView>(path)
      : await client.get<JobView>(path);
    if (terminal.stopped.aborted) break;
  }
  progress.stop();
  return client.get<JobReport>(`${path}/report`);
}

/** @throws FatalError unless the job came to its end. */
export function assertVerified({ state, error, failures }: JobReport): void {
  if (state === 'done') return;
  throw new FatalError(error?.message ?? failures[0]?.message ?? `the job was ${state}`, {
    code: error?.code ?? failures[0]?.code ?? 'JOB_INTERRUPTED',
  });
}
