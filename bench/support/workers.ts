/** The entrant in several processes: one that dies is replaced, and SIGTERM lets all of them finish. */
import { type ChildProcess, fork } from 'node:child_process';

/** Runs `count` processes of `program` until SIGTERM. Resolves with the worst exit code. */
export function superviseWorkers(
  program: string,
  count: number,
  execArgv: string[],
  environment: NodeJS.ProcessEnv,
): Promise<number> {
  let stopping = false;
  let worst = 0;
  const workers = new Map<number, ChildProcess>();
  return new Promise((resolve) => {
    const start = (number: number) => {
      const worker = fork(program, { execArgv, env: environment });
      workers.set(number, worker);
      process.stdout.write(`${JSON.stringify({ worker: number, pid: worker.pid })}\n`);
      worker.once('exit', (code, signal) => {
        workers.delete(number);
        if (!stopping) {
          process.stderr.write(`worker ${number} ended with ${code ?? signal}; starting another\n`);
          start(number);
          return;
        }
        worst = Math.max(worst, code ?? 1);
        if (workers.size === 0) resolve(worst);
      });
    };
    const stop = () => {
      stopping = true;
      for (const worker of workers.values()) worker.kill('SIGTERM');
    };
    process.once('SIGTERM', stop);
    process.once('SIGINT', stop);
    for (let number = 0; number < count; number++) start(number);
  });
}
