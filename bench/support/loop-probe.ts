/**
 * Looks at the event loop of the process that it is preloaded into (`NODE_OPTIONS=--import`): SIGUSR2 begins,
 * SIGUSR2 again writes JSON with how long timers waited and what garbage collection took (ms) to the file
 * LOOP_PROBE_OUT. With LOOP_PROBE_PROFILE,
 * a folder, it takes a CPU profile meanwhile.
 */
import { writeFileSync } from 'node:fs';
import { Session } from 'node:inspector/promises';
import { join } from 'node:path';
import { monitorEventLoopDelay, PerformanceObserver, performance } from 'node:perf_hooks';

const out = process.env.LOOP_PROBE_OUT;
const profiles = process.env.LOOP_PROBE_PROFILE;

if (out !== undefined) {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  let session: Session | undefined;
  let began: { cpu: NodeJS.CpuUsage; used: ReturnType<typeof performance.eventLoopUtilization> };
  let running = false;
  const pauses: number[] = [];
  const collections = new PerformanceObserver((seen) => {
    for (const { duration } of seen.getEntries()) pauses.push(duration);
  });
  process.on('SIGUSR2', async () => {
    if (!running) {
      running = true;
      if (profiles !== undefined) {
        session = new Session();
        session.connect();
        await session.post('Profiler.enable');
        await session.post('Profiler.setSamplingInterval', { interval: 200 });
        await session.post('Profiler.start');
      }
      began = { cpu: process.cpuUsage(), used: performance.eventLoopUtilization() };
      collections.observe({ entryTypes: ['gc'] });
      delay.reset();
      delay.enable();
      return;
    }
    running = false;
    delay.disable();
    collections.disconnect();
    const ms = (ns: number) => Math.round(ns / 1e4) / 100;
    const { user, system } = process.cpuUsage(began.cpu);
    const { utilization, active, idle } = performance.eventLoopUtilization(began.used);
    const figures = {
      p50: ms(delay.percentile(50)),
      p99: ms(delay.percentile(99)),
      p999: ms(delay.percentile(99.9)),
      max: ms(delay.max),
      gc: Math.round(pauses.reduce((sum, pause) => sum + pause, 0)),
      gcMax: Math.round(Math.max(0, ...pauses) * 100) / 100,
      gcOver5: pauses.filter((pause) => pause > 5).length,
      busy: Math.round(utilization * 100) / 100,
      cores: Math.round((100 * (user + system)) / 1e3 / (active + idle)) / 100,
    };
    if (session !== undefined) {
      const { profile } = await session.post('Profiler.stop');
      writeFileSync(join(profiles as string, 'live.cpuprofile'), JSON.stringify(profile));
    }
    writeFileSync(out, JSON.stringify(figures));
  });
}
