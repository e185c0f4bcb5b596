/**
 * The way out of a process that may be in the middle of its work. `process.exit()` waits for native threads first, and
 * LMDB's writer, whose batch this thread has begun and not ended, waits for this thread: neither would ever go on
 * (kriszyp/lmdb-js#336). What was not committed is as after a kill -9.
 */

/** Ends the process at once, whatever its other threads do. */
export function leave(code: number): never {
  const { execPath } = process;
  // Another program takes its place, which has nothing to wait for. Windows has no such call, and its kill gives 1.
  if (typeof process.execve === 'function' && process.platform !== 'win32')
    process.execve(execPath, [execPath, '--eval', `process.exit(${code})`], {
      ...process.env,
      NODE_OPTIONS: '',
    });
  process.kill(process.pid, 'SIGKILL');
  // Until the system has done it.
  for (;;);
}
