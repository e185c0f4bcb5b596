/**
 * Topologies by name (those that come with Tidemark) or from a user's file. A user's `import … from 'tidemark'`
 * gets this very program, wherever the file lies and whatever is installed beside it, so that there is only
 * one copy of the library in the process.
 */
import { existsSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { fleetMetrics, voteLatency } from '../../topologies/index.ts';
import { FatalError, messageOf } from '../model/index.ts';
import { nearest } from '../runtime/index.ts';
import { Topology } from '../stream/index.ts';

export const builtInTopologies: readonly Topology[] = [voteLatency, fleetMetrics];

/** Topologies as they are, names, or paths; a path has a slash or ends in .ts, .mts, .js or .mjs. */
export async function loadTopologies(
  references: readonly (string | Topology)[],
): Promise<readonly Topology[]> {
  const loaded: Topology[] = [];
  for (const reference of references)
    loaded.push(...(reference instanceof Topology ? [reference] : await loadOne(reference)));
  return loaded;
}

async function loadOne(reference: string): Promise<readonly Topology[]> {
  const builtIn = builtInTopologies.find((topology) => topology.name === reference);
  if (builtIn !== undefined) return [builtIn];
  if (!/[/\\]|\.[mc]?[jt]s$/.test(reference)) {
    const names = builtInTopologies.map((topology) => topology.name);
    const close = nearest(reference, names);
    throw new FatalError(
      `no topology is named "${reference}"; there is ${names.join(', ')}${close === undefined ? '' : ` (did you mean "${close}"?)`}, or give a file such as ./mine.ts`,
      { code: 'UNKNOWN_NAME' },
    );
  }
  const path = resolve(reference);
  if (!existsSync(path)) {
    throw new FatalError(`there is no file ${reference} to take a topology from`, {
      code: 'TOPOLOGY_FILE_MISSING',
    });
  }
  resolveTidemarkToThisProgram();
  let module: Record<string, unknown>;
  try {
    module = (await import(pathToFileURL(path).href)) as Record<string, unknown>;
  } catch (error) {
    throw new FatalError(`${reference} can't be loaded: ${messageOf(error)}`, {
      code: 'TOPOLOGY_FILE_BROKEN',
      cause: error,
    });
  }
  const found = [...new Set(Object.values(module).flat())].filter(
    (value) => value instanceof Topology,
  );
  if (found.length === 0) {
    throw new FatalError(
      `${reference} exports no topology; write: export default topology('name', ({ source }) => { … })`,
      {
        code: 'TOPOLOGY_FILE_EMPTY',
      },
    );
  }
  return found;
}

let resolving = false;

function resolveTidemarkToThisProgram(): void {
  if (resolving) return;
  resolving = true;
  const here = new URL(
    import.meta.url.endsWith('.ts') ? '../index.ts' : '../index.js',
    import.meta.url,
  ).href;
  registerHooks({
    resolve: (specifier, context, next) => {
      if (specifier === 'tidemark') return { url: here, shortCircuit: true };
      // Our rxjs is the one that a topology's operators must come from.
      if (specifier === 'rxjs') return next(specifier, { ...context, parentURL: import.meta.url });
      return next(specifier, context);
    },
  });
}
