/** The version of this program, from its package.json wherever it runs from. */
import { readFileSync } from 'node:fs';

// Two places: src/ in a checkout, dist/src/ in a package.
const manifest = import.meta.url.includes('/dist/src/') ? '../../package.json' : '../package.json';

export const version: string = (
  JSON.parse(readFileSync(new URL(manifest, import.meta.url), 'utf8')) as { version: string }
).version;
