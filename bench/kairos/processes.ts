/** Processor time and memory of another process, as Linux counts them. */
import { readFileSync } from 'node:fs';

/** Ticks a second, on every Linux that Node runs on. */
const TICKS = 100;

/** Of user and system together, in seconds. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // Behind the program's name, which may hold spaces.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS;
}

export interface Memory {
  readonly nowMiB: number;
  /** The most since it started. */
  readonly peakMiB: number;
}

export function residentMemory(pid: number): Memory {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const of = (name: string) =>
    Math.round(Number(new RegExp(`^${name}:\\s*(\\d+) kB`, 'm').exec(status)?.[1]) / 1_024);
  return { nowMiB: of('VmRSS'), peakMiB: of('VmHWM') };
}
