/**
 * Tells a process from a later one that got the same number, so that a claim left by a process that was killed is
 * not mistaken for a living one's.
 */
import { readFileSync } from 'node:fs';

/** Boot id and start tick of a live process; undefined when there is none; null when the system can't tell. */
export function incarnationOf(pid: number): string | null | undefined {
  let bootId: string;
  try {
    bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return isSignalable(pid) ? null : undefined;
  }
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in parentheses may hold anything; state is the first field after it, start time the twentieth.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : `${bootId}:${fields[19]}`;
  } catch {
    return undefined;
  }
}

function isSignalable(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
