/** A progress bar for people; nothing where stderr is no terminal. */
import { isLively, type Terminal } from './terminal.ts';

export interface Progress {
  update(done: number, total: number): void;
  stop(): void;
}

export async function showProgress(terminal: Terminal, unit: string): Promise<Progress> {
  if (!isLively(terminal, 'stderr')) return { update() {}, stop() {} };
  const { default: bars } = await import('cli-progress');
  const bar = new bars.SingleBar({
    format: `{bar} {percentage}%  {value}/{total} ${unit}  {eta_formatted} left`,
    stream: terminal.stderr as NodeJS.WritableStream,
    hideCursor: true,
    clearOnComplete: true,
  });
  let started = false;
  return {
    update(done, total) {
      if (!started) bar.start(total, done);
      else {
        bar.setTotal(total);
        bar.update(done);
      }
      started = true;
    },
    stop: () => bar.stop(),
  };
}
