/** A consumer in its own process tells how far it is, for bench/support/consumer-run.ts to read. */

const EVERY_MS = 25;

/** Prints a line now and every 25 ms when BENCH_PROGRESS is set. */
export function reportProgress(records: () => number): void {
  if (process.env.BENCH_PROGRESS === undefined) return;
  const mib = (bytes: number) => Math.round(bytes / 1_048_576);
  const report = () => {
    const { rss, heapTotal, external } = process.memoryUsage();
    const { user, system } = process.cpuUsage();
    const line = {
      at: Date.now(),
      records: records(),
      rssMiB: mib(rss),
      cpuMs: Math.round((user + system) / 1_000),
      heapMiB: mib(heapTotal),
      externalMiB: mib(external),
    };
    process.stdout.write(`${JSON.stringify(line)}\n`);
  };
  setInterval(report, EVERY_MS);
}
