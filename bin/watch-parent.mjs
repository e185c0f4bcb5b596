/**
 * Preloaded into a child of `launch.js`: the two live and die as one process. Every signal that can be
 * passed on is; so when the launcher is gone without a word it was killed (-9), and the program is as well:
 * a successor may start in the next moment and must find data directory and port free.
 */
if (process.channel !== undefined) {
  process.once('disconnect', () => process.kill(process.pid, 'SIGKILL'));
  // Listening must not keep an otherwise finished program alive.
  process.channel.unref();
}
