/** Makes a Python entrant ready to run: a virtual environment in the user's cache with what it requires. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { peersCache, run } from './prepare.ts';

const NEEDS = 'Python 3.10 to 3.12 with venv, and PyPI';

/** The command line of `flow.py` in the peer's folder, all prepared. */
export function preparePython(peer: 'bytewax'): string[] {
  const sources = fileURLToPath(new URL(`./${peer}/`, import.meta.url));
  const environment = join(peersCache, peer);
  const python = join(environment, 'bin', 'python');
  if (!existsSync(python)) run('python3', ['-m', 'venv', environment], NEEDS);
  // Asks PyPI only for what is missing.
  const install = ['-m', 'pip', 'install', '-q', '--disable-pip-version-check'];
  run(python, [...install, '-r', join(sources, 'requirements.txt')], NEEDS);
  return [python, '-B', join(sources, 'flow.py')];
}
