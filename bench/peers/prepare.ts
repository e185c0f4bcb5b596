/** What preparing a peer needs whatever its language: a place that is kept, and commands that must succeed. */
import { execFileSync } from 'node:child_process';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** What peers fetched once and use again. */
export const peersCache: string = join(
  process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'),
  'tidemark-bench',
);

/** Throws with what peers of this kind `need` when the command fails or isn't there. */
export function run(command: string, rest: readonly string[], needs: string): void {
  try {
    execFileSync(command, rest, { stdio: ['ignore', 'inherit', 'inherit'] });
  } catch (cause) {
    throw new Error(`${command} failed; it needs ${needs}`, { cause });
  }
}
