/**
 * Joins defaults < file < environment < `*_FILE` secrets < flags into checked settings. An unknown key in the
 * file is refused with the nearest known one; every value keeps its origin for `config print`.
 */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { FatalError, messageOf } from '../model/index.ts';
import { editDistance, nearest } from './nearest.ts';
import { Secret } from './secret.ts';
import { type Setting, settingsOf } from './setting.ts';
import { type Settings, settingsSchema } from './settings.ts';

export const DEFAULT_CONFIG_FILE = 'tidemark.config.json';

/** Where a value came from: `default`, `file tidemark.config.json`, `environment LOG_LEVEL`, `flag --port`. */
export type Origin = string;

export interface SettingValue {
  readonly setting: Setting;
  /** Secrets are wrapped; undefined when an optional setting was not given. */
  readonly value: unknown;
  readonly origin: Origin;
}

export interface LoadedSettings {
  readonly settings: Settings;
  /** Every setting, in the order of the schema. */
  readonly values: readonly SettingValue[];
  /** Sentences for the log: likely mistakes that do not stop the program. */
  readonly warnings: readonly string[];
}

export interface LoadOptions {
  /** By dotted path, as text or already typed; undefined ones are left out. */
  readonly flags?: Readonly<Record<string, unknown>>;
  /** `--config`; before TIDEMARK_CONFIG, before `tidemark.config.json`. */
  readonly configFile?: string | undefined;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** Where relative file names start. Default: the working directory. */
  readonly directory?: string;
}

interface Given {
  readonly value: unknown;
  readonly origin: Origin;
  /** How messages name it: `port in tidemark.config.json`, `TIDEMARK_PORT`, `--port`. */
  readonly name: string;
}

const allSettings: readonly Setting[] = settingsOf(settingsSchema);
const byPath = new Map(allSettings.map((setting) => [setting.path, setting]));

/** Every setting there is, for the manual and the sample file. */
export const knownSettings = (): readonly Setting[] => allSettings;

/**
 * Reads and checks all settings. Throws FatalError CONFIG_UNREADABLE, CONFIG_UNKNOWN_KEY or CONFIG_INVALID,
 * each naming the setting, where it stands and what is expected.
 */
export function loadSettings(options: LoadOptions = {}): LoadedSettings {
  const environment = options.environment ?? process.env;
  const directory = options.directory ?? process.cwd();
  const given = new Map<string, Given>();
  readConfigFile(options.configFile, environment, directory, given);
  readEnvironment(environment, directory, given);
  for (const [path, value] of Object.entries(options.flags ?? {})) {
    if (value === undefined) continue;
    if (!byPath.has(path)) throw unknownKey(path, 'the flags');
    const name = `--${kebab(path)}`;
    given.set(path, { value, origin: `flag ${name}`, name });
  }
  const values = allSettings.map((setting) => resolveSetting(setting, given.get(setting.path)));
  const settings = nest(values);
  checkTogether(settings);
  return { settings, values, warnings: warningsOf(settings, environment) };
}

function readConfigFile(
  flagged: string | undefined,
  environment: Readonly<Record<string, string | undefined>>,
  directory: string,
  into: Map<string, Given>,
): void {
  const named = flagged ?? (environment.TIDEMARK_CONFIG || undefined);
  const file = named ?? DEFAULT_CONFIG_FILE;
  let content: string;
  try {
    content = readFileSync(resolve(directory, file), 'utf8');
  } catch (error) {
    const absent = (error as NodeJS.ErrnoException).code === 'ENOENT';
    if (absent && named === undefined) return;
    throw new FatalError(`can't read the configuration file ${file}: ${messageOf(error)}`, {
      code: 'CONFIG_UNREADABLE',
      cause: error,
      context: { file },
    });
  }
  let parsed: unknown;
  try {
    parsed = JSON.parse(content);
  } catch {
    // The parser's own message quotes the text, which may hold a secret.
    throw new FatalError(`${file} is not JSON: check commas, quotes and braces`, {
      code: 'CONFIG_UNREADABLE',
      context: { file },
    });
  }
  if (!isPlainObject(parsed)) {
    throw new FatalError(`${file} must hold one JSON object`, {
      code: 'CONFIG_UNREADABLE',
      context: { file },
    });
  }
  flatten(parsed, '', file, into);
}

function flatten(
  object: Record<string, unknown>,
  prefix: string,
  file: string,
  into: Map<string, Given>,
): void {
  for (const [key, value] of Object.entries(object)) {
    if (prefix === '' && key === '$schema') continue;
    const path = prefix === '' ? key : `${prefix}.${key}`;
    if (byPath.has(path)) {
      into.set(path, { value, origin: `file ${file}`, name: `${path} in ${file}` });
    } else if (allSettings.some((setting) => setting.path.startsWith(`${path}.`))) {
      if (!isPlainObject(value)) {
        throw invalid(`${path} in ${file}`, 'an object of settings', '');
      }
      flatten(value, path, file, into);
    } else {
      throw unknownKey(path, file);
    }
  }
}

function readEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
  directory: string,
  into: Map<string, Given>,
): void {
  for (const setting of allSettings) {
    const name = setting.environment;
    if (name === undefined) continue;
    const value = environment[name];
    // An empty variable is how shells and compose files say "not set".
    if (value !== undefined && value !== '') {
      into.set(setting.path, { value, origin: `environment ${name}`, name });
    }
    if (!setting.secret) continue;
    const fileName = `${name}_FILE`;
    const file = environment[fileName];
    if (file === undefined || file === '') continue;
    into.set(setting.path, {
      value: readSecretFile(resolve(directory, file), fileName),
      origin: `environment ${fileName}`,
      name: fileName,
    });
  }
}

function readSecretFile(file: string, name: string): string {
  try {
    return readFileSync(file, 'utf8').trimEnd();
  } catch (error) {
    throw new FatalError(`can't read the secret that ${name} points to: ${messageOf(error)}`, {
      code: 'CONFIG_UNREADABLE',
      cause: error,
      context: { name },
    });
  }
}

function resolveSetting(setting: Setting, given: Given | undefined): SettingValue {
  if (given === undefined) return { setting, value: setting.default, origin: 'default' };
  const value = parseValue(setting, given);
  return { setting, value: setting.secret ? conceal(value) : value, origin: given.origin };
}

const conceal = (value: string | number | boolean | readonly string[]) =>
  Array.isArray(value) ? value.map((each) => new Secret(each)) : new Secret(String(value));

/** Text (environment, flags) and JSON (file) alike; anything else than expected is refused. */
function parseValue(setting: Setting, given: Given): string | number | boolean | string[] {
  const { value } = given;
  const shown = setting.secret ? '' : `, got ${JSON.stringify(value)}`;
  const refuse = (expected: string) => invalid(given.name, expected, shown);
  switch (setting.type) {
    case 'integer': {
      const number =
        typeof value === 'string' && /^-?\d{1,15}$/.test(value.trim()) ? Number(value) : value;
      const least = setting.minimum ?? Number.MIN_SAFE_INTEGER;
      const most = setting.maximum ?? Number.MAX_SAFE_INTEGER;
      if (typeof number === 'number' && Number.isInteger(number)) {
        if (number >= least && number <= most) return number;
      }
      throw refuse(`a whole number from ${least} to ${most}`);
    }
    case 'boolean': {
      if (typeof value === 'boolean') return value;
      const word = typeof value === 'string' ? value.trim().toLowerCase() : '';
      if (['true', '1', 'yes', 'on'].includes(word)) return true;
      if (['false', '0', 'no', 'off'].includes(word)) return false;
      throw refuse('true or false');
    }
    case 'array': {
      const members = typeof value === 'string' ? splitList(value) : value;
      if (!Array.isArray(members) || !members.every(isText)) {
        throw refuse('a list of texts, comma separated outside of the file');
      }
      for (const member of members) checkWord(setting, member, given.name);
      return members;
    }
    case 'string': {
      if (!isText(value)) throw refuse('a text');
      checkWord(setting, value, given.name);
      return value;
    }
  }
}

/** What is wrong with a value for a setting: `expected …, got …`; undefined when nothing is. */
export function settingFault(path: string, value: unknown): string | undefined {
  try {
    parseValue(byPath.get(path) as Setting, { value, origin: '', name: path });
    return undefined;
  } catch (error) {
    return messageOf(error).slice(`${path}: `.length);
  }
}

function checkWord(setting: Setting, word: string, name: string): void {
  if (setting.words === undefined || setting.words.includes(word)) return;
  throw invalid(
    name,
    `one of ${setting.words.join(', ')}`,
    `, got ${JSON.stringify(word)}; did you mean ${nearest(word, setting.words)}?`,
  );
}

const splitList = (text: string): string[] =>
  text
    .split(',')
    .map((member) => member.trim())
    .filter((member) => member !== '');

const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';

const isPlainObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function nest(values: readonly SettingValue[]): Settings {
  const root: Record<string, unknown> = {};
  for (const { setting, value } of values) {
    const keys = setting.path.split('.');
    const last = keys.pop()!;
    let node = root;
    for (const key of keys) {
      node[key] ??= {};
      node = node[key] as Record<string, unknown>;
    }
    if (value !== undefined) node[last] = value;
  }
  return root as unknown as Settings;
}

/** A browser names a page's origin alone, in small letters: with a path behind it none would ever be let in. */
function checkOrigins(origins: readonly string[]): void {
  for (const origin of origins) {
    if (/^(?:\*|null|[a-z][a-z0-9+.-]*:\/\/[^/\sA-Z]+)$/.test(origin)) continue;
    const expected = 'origins such as https://grafana.example, or *';
    throw invalid('http.corsOrigins', expected, `, got ${JSON.stringify(origin)}`);
  }
}

/** What no single setting can tell: those that need one another. */
function checkTogether({ http, kafka, influx, cassandra, sinks, history }: Settings): void {
  checkOrigins(http.corsOrigins);
  const needs = (reason: string, ...names: string[]) => {
    throw new FatalError(`${reason}: set ${names.join(' and ')} too`, { code: 'CONFIG_INVALID' });
  };
  const { mechanism, username, password } = kafka.sasl;
  if (mechanism !== undefined && (username === undefined || password === undefined)) {
    needs('KAFKA_SASL_MECHANISM is set', 'KAFKA_SASL_USERNAME', 'KAFKA_SASL_PASSWORD');
  }
  if (mechanism === undefined && (username !== undefined || password !== undefined)) {
    needs('a user name or password for Kafka is set', 'KAFKA_SASL_MECHANISM');
  }
  if (influx.url !== undefined) {
    if (!URL.canParse(influx.url))
      throw invalid('influx.url', 'an address such as http://host:8086', '');
    if (influx.org === undefined) needs('INFLUX_URL is set', 'INFLUX_ORG');
    if (influx.token === undefined) needs('INFLUX_URL is set', 'INFLUX_TOKEN');
  }
  const { primary, fallback } = history;
  if (influx.url === undefined && primary === 'influx') {
    needs('TIDEMARK_HISTORY_PRIMARY is influx', 'INFLUX_URL');
  }
  if (influx.url === undefined && fallback === 'influx') {
    needs('TIDEMARK_HISTORY_FALLBACK is influx', 'INFLUX_URL');
  }
  if (primary === fallback) {
    throw invalid(
      'TIDEMARK_HISTORY_FALLBACK',
      'none, or another store than the primary',
      `, ${primary}`,
    );
  }
  if ((cassandra.username === undefined) !== (cassandra.password === undefined)) {
    needs(
      'a user name for Cassandra needs a password and the reverse',
      'CASSANDRA_USERNAME',
      'CASSANDRA_PASSWORD',
    );
  }
  if (sinks.backoffCapMs < sinks.backoffBaseMs) {
    throw invalid(
      'sinks.backoffCapMs',
      `at least sinks.backoffBaseMs (${sinks.backoffBaseMs})`,
      '',
    );
  }
}

/** Names that look like one of ours, mistyped; a door left open; points that would wait for nobody. */
function warningsOf(
  settings: Settings,
  environment: Readonly<Record<string, string | undefined>>,
): string[] {
  const warnings: string[] = [];
  const names = allSettings.flatMap(({ environment: name, secret }) =>
    name === undefined ? [] : secret ? [name, `${name}_FILE`] : [name],
  );
  for (const name of Object.keys(environment)) {
    if (names.includes(name) || !/^(TIDEMARK|KAFKA|INFLUX|CASSANDRA|SINK)_/.test(name)) continue;
    const meant = nearest(name, names)!;
    if (editDistance(name, meant) <= 2) {
      warnings.push(`${name} is no setting and has no effect: did you mean ${meant}?`);
    }
  }
  if (
    settings.roles.some((role) => ['api', 'ingest', 'query'].includes(role)) &&
    settings.tokens.length === 0 &&
    !isLoopback(settings.host)
  ) {
    warnings.push(
      `the HTTP service listens on ${settings.host} and lets everybody in: set TIDEMARK_TOKENS, or host to 127.0.0.1`,
    );
  }
  const { roles, kafka } = settings;
  if (kafka.brokers.length === 0 && roles.includes('ingest') && !roles.includes('sinks')) {
    warnings.push(
      'KairosDB’s points are taken and wait in the embedded log, which no other process can read: add the role sinks, or set KAFKA_BROKERS',
    );
  }
  return warnings;
}

/** Addresses that only this machine reaches. */
export const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);

const kebab = (path: string): string =>
  path.replaceAll('.', '-').replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

const invalid = (name: string, expected: string, got: string): FatalError =>
  new FatalError(`${name}: expected ${expected}${got}`, {
    code: 'CONFIG_INVALID',
    context: { name },
  });

function unknownKey(path: string, where: string): FatalError {
  return new FatalError(
    `${where}: there is no setting ${JSON.stringify(path)}; did you mean ${nearest(path, byPath.keys())}?`,
    { code: 'CONFIG_UNKNOWN_KEY', context: { key: path } },
  );
}
