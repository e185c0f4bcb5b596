/** A KairosDB configuration made into one of ours, with a line about every key that could not be. */
import { readFileSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { FatalError, messageOf } from '../../model/index.ts';
import { nearest, settingFault } from '../../runtime/index.ts';
import { type ConfigEntry, readHocon, readProperties } from './hocon.ts';
import { collected, knownKeys, NotTranslated, ruleOf } from './mapping.ts';

export interface Finding {
  readonly file: string;
  readonly line: number;
  readonly key: string;
  /** `todo`: no counterpart; `unknown`: KairosDB ignores it too; `wrong`: the value is no good; `note`: taken, mind this. */
  readonly kind: 'todo' | 'unknown' | 'wrong' | 'note';
  readonly message: string;
}

export interface Converted {
  /** Nested, as `tidemark.config.json` has it. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly findings: readonly Finding[];
  /** Keys that were taken over, and keys that need nothing. */
  readonly taken: number;
  readonly needless: number;
}

/** Throws FatalError CONFIG_UNREADABLE. */
export function convertKairosConfig(
  file: string,
  environment: Readonly<Record<string, string | undefined>>,
): Converted {
  const text = read(file);
  const entries = /\.properties$/.test(file)
    ? readProperties(text, basename(file))
    : readHocon(text, {
        file: basename(file),
        environment,
        include: (name) => {
          try {
            return readFileSync(resolve(dirname(file), name), 'utf8');
          } catch {
            return undefined;
          }
        },
      });
  return convert(entries);
}

export function convert(entries: ReadonlyMap<string, ConfigEntry>): Converted {
  const settings = new Map<string, unknown>();
  const findings: Finding[] = [];
  let taken = 0;
  let needless = 0;
  for (const [full, { value, file, line }] of entries) {
    const key = full.replace(/^kairosdb\./, '');
    const tell = (kind: Finding['kind'], message: string) =>
      findings.push({ file, line, key: full, kind, message });
    const rule = full === key ? undefined : ruleOf(key);
    if (rule === undefined) {
      const near = nearest(key, knownKeys);
      tell('unknown', `KairosDB has no such key; did you mean kairosdb.${near}?`);
    } else if ('always' in rule) needless++;
    else if ('todo' in rule) tell('todo', rule.todo);
    else {
      try {
        const given = Object.entries(rule.to(value, key));
        for (const [path, setting] of given) {
          const fault = settingFault(path, setting);
          if (fault !== undefined) throw new NotTranslated(`${path}: ${fault}`);
          const before = collected.has(path) ? settings.get(path) : undefined;
          settings.set(path, Array.isArray(before) ? before.concat(setting) : setting);
        }
        if (given.length === 0) needless++;
        else taken++;
        const note = rule.note?.(value);
        if (note !== undefined) tell('note', note);
      } catch (error) {
        if (!(error instanceof NotTranslated)) throw error;
        tell(error.kind, error.message);
      }
    }
  }
  settle(entries, settings, findings);
  return { config: nest(settings), findings, taken, needless };
}

/** Keys that mean something only together. */
function settle(
  entries: ReadonlyMap<string, ConfigEntry>,
  settings: Map<string, unknown>,
  findings: Finding[],
): void {
  const entry = (key: string) => entries.get(`kairosdb.${key}`);
  const given = (key: string) => entry(key)?.value;
  const datastore = given('service.datastore');
  // The shipped file names Cassandra's host also where H2 is used; no name of a datastore is 1.2's Cassandra.
  if (typeof datastore === 'string' && /H2Module$/.test(datastore)) {
    for (const path of settings.keys()) if (path.startsWith('cassandra.')) settings.delete(path);
  }
  if (typeof datastore === 'string' && /CassandraModule$/.test(datastore)) {
    const { file, line } = entry('service.datastore') as ConfigEntry;
    if (!settings.has('cassandra.hosts')) {
      settings.set('cassandra.hosts', ['localhost']);
      const message = 'no host is named: KairosDB takes localhost';
      findings.push({ file, line, key: 'kairosdb.service.datastore', kind: 'note', message });
    }
  }
  // Switched off wins over a threshold, whichever comes first.
  if (String(given('log.queries.enable')) === 'false') settings.set('queries.slowMs', 0);
  // Rollups are off in KairosDB unless their module is named.
  if (given('service.rollups') === undefined) settings.set('rollups.enabled', false);
}

function nest(settings: ReadonlyMap<string, unknown>): Record<string, unknown> {
  const root: Record<string, unknown> = {};
  for (const [path, value] of settings) {
    const keys = path.split('.');
    const last = keys.pop() as string;
    let node = root;
    for (const key of keys) {
      node[key] ??= {};
      node = node[key] as Record<string, unknown>;
    }
    node[last] = value;
  }
  return root;
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new FatalError(`can't read ${file}: ${messageOf(error)}`, {
      code: 'CONFIG_UNREADABLE',
      cause: error,
      context: { file },
    });
  }
}
