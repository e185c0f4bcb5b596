/**
 * The alerts file: rules by name, which change those that come with Tidemark or are new; channels by name; and
 * how notifications are grouped and repeated. Whatever is wrong in it is told with its place and the nearest
 * right word, and nothing runs then.
 *
 *   { "rules": { "cpu": { "warning": 75, "overrides": [{ "match": { "host": "db-*" }, "warning": 95 }] } },
 *     "channels": { "ops": { "type": "slack", "urlFile": "slack-url", "match": { "severity": "critical" } } },
 *     "notifications": { "repeat": "1h" } }
 */
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import {
  type AlertMatchers,
  type AlertOverride,
  type AlertRule,
  FatalError,
  messageOf,
  minutes,
  seconds,
} from '../model/index.ts';
import type { Secret } from '../runtime/index.ts';
import { type ChannelConfig, channelKeys, channelOf } from './channels/config.ts';
import { blankRule, defaultRules, type Measure, measures } from './default-rules.ts';
import { durationMs } from './duration.ts';
import { Place } from './place.ts';

export interface NotificationPolicy {
  /** A firing alert is told again after this long, and one that fires anew within it is not told. */
  readonly repeatMs: number;
  /** How long a notification waits for others to go with it. */
  readonly groupWaitMs: number;
  /** Labels whose values together make a group. */
  readonly groupBy: readonly string[];
}

export interface AlertConfig {
  readonly rules: readonly AlertRule[];
  readonly channels: readonly ChannelConfig[];
  readonly notifications: NotificationPolicy;
}

export const defaultNotifications: NotificationPolicy = {
  repeatMs: minutes(30),
  groupWaitMs: seconds(5),
  groupBy: ['rule'],
};

export interface AlertConfigOptions {
  /** Path of the file; absent: defaults. */
  readonly file?: string | undefined;
  /** Channels given by the environment. */
  readonly slackUrl?: Secret | undefined;
  readonly webhookUrl?: Secret | undefined;
  readonly webhookSecret?: Secret | undefined;
  readonly environment?: Readonly<Record<string, string | undefined>>;
}

/** @throws FatalError CONFIG_UNREADABLE, CONFIG_UNKNOWN_KEY or CONFIG_INVALID. */
export function loadAlertConfig(options: AlertConfigOptions = {}): AlertConfig {
  const { file } = options;
  const given = file === undefined ? {} : readJson(file);
  const place = new Place(file ?? 'alerts', '');
  return parseAlertConfig(given, place, options);
}

function readJson(file: string): unknown {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new FatalError(`can't read the alerts file ${file}: ${messageOf(error)}`, {
      code: 'CONFIG_UNREADABLE',
      cause: error,
    });
  }
  try {
    return JSON.parse(text);
  } catch {
    // The parser's own message quotes the text, which may hold a secret.
    throw new FatalError(`${file} is not JSON: check commas, quotes and braces`, {
      code: 'CONFIG_UNREADABLE',
    });
  }
}

/** `given`: what the file holds. */
export function parseAlertConfig(
  given: unknown,
  place: Place = new Place('alerts', ''),
  options: AlertConfigOptions = {},
): AlertConfig {
  const root = place.object(given, ['$schema', 'rules', 'channels', 'notifications']);
  const { file, environment = process.env } = options;
  const secrets = { directory: file === undefined ? '.' : dirname(resolve(file)), environment };
  const channels = entriesOf(place.at('channels'), root.channels).map(([name, value, at]) =>
    channelOf(name, at.object(value, channelKeys(value, at)), at, secrets),
  );
  const names = new Set(channels.map(({ name }) => name));
  const add = (channel: ChannelConfig) => {
    if (!names.has(channel.name)) channels.push(channel);
  };
  const anything = { match: {}, sendResolved: true };
  if (options.slackUrl !== undefined)
    add({ ...anything, name: 'slack', type: 'slack', url: options.slackUrl });
  if (options.webhookUrl !== undefined) {
    const secret = options.webhookSecret;
    add({
      ...anything,
      name: 'webhook',
      type: 'webhook',
      url: options.webhookUrl,
      headers: {},
      ...(secret === undefined ? {} : { secret }),
    });
  }
  // Somebody must hear of it, if only who reads the log.
  if (channels.length === 0) add({ ...anything, name: 'log', type: 'log' });
  return {
    rules: rulesOf(place.at('rules'), root.rules),
    channels,
    notifications: notificationsOf(place.at('notifications'), root.notifications),
  };
}

function entriesOf(place: Place, given: unknown): [string, unknown, Place][] {
  if (given === undefined) return [];
  return Object.entries(place.object(given)).map(([name, value]) => {
    const at = place.at(name);
    if (!/^[a-z0-9][a-z0-9-]{0,49}$/.test(name)) {
      throw at.invalid('a name of lower-case letters, digits and dashes, at most 50', name);
    }
    return [name, value, at];
  });
}

const RULE_KEYS = [
  'enabled',
  'measure',
  'direction',
  'warning',
  'critical',
  'hysteresis',
  'for',
  'stale',
  'overrides',
];

function rulesOf(place: Place, given: unknown): readonly AlertRule[] {
  const rules = new Map(defaultRules.map((rule) => [rule.name, rule]));
  for (const [name, value, at] of entriesOf(place, given)) {
    const row = at.object(value, RULE_KEYS);
    const known = rules.get(name);
    if (known === undefined && row.measure === undefined) {
      throw at.unknown(name, rules.keys(), 'rule (a new one needs a measure)');
    }
    const measure =
      row.measure === undefined
        ? (known?.measure as Measure)
        : (at.at('measure').word(row.measure, Object.keys(measures)) as Measure);
    const isSame = known !== undefined && known.measure === measure;
    const base = isSame ? known : blankRule(name, measure);
    const rule: AlertRule = {
      ...base,
      enabled: at.at('enabled').flag(row.enabled, base.enabled),
      direction: at
        .at('direction')
        .word(row.direction ?? base.direction, ['above', 'below']) as AlertRule['direction'],
      ...thresholdsOf(at, row, base),
      hysteresis: at.at('hysteresis').number(row.hysteresis, base.hysteresis, 0) as number,
      forMs: durationOf(at.at('for'), row.for, base.forMs),
      staleMs: durationOf(at.at('stale'), row.stale, base.staleMs),
      overrides:
        row.overrides === undefined
          ? base.overrides
          : at
              .at('overrides')
              .list(row.overrides)
              .map((each, i) => overrideOf(at.at(`overrides[${i}]`), each, base)),
    };
    if (rule.warning === null && rule.critical === null) {
      throw at.invalid('a warning or a critical threshold', value);
    }
    rules.set(name, rule);
  }
  return [...rules.values()];
}

type Thresholds = Pick<AlertRule, 'warning' | 'critical'>;

function thresholdsOf(
  at: Place,
  row: Record<string, unknown>,
  base: Thresholds & { direction?: string },
): Thresholds {
  const warning = at.at('warning').number(row.warning, base.warning);
  const critical = at.at('critical').number(row.critical, base.critical);
  const direction = (row.direction ?? base.direction) as string;
  const isAscending =
    warning === null ||
    critical === null ||
    (direction === 'below' ? critical <= warning : critical >= warning);
  if (!isAscending) {
    throw at
      .at('critical')
      .invalid(`a threshold beyond that of the warning (${warning})`, critical);
  }
  return { warning, critical };
}

function overrideOf(place: Place, given: unknown, base: AlertRule): AlertOverride {
  const row = place.object(given, ['match', 'enabled', 'warning', 'critical']);
  const enabled = place.at('enabled').flag(row.enabled, true);
  // A threshold that the override does not name is the rule's, unless it would lie before the override's own.
  const named = { warning: base.warning, critical: base.critical, direction: base.direction };
  if (row.warning !== undefined && row.critical === undefined) {
    const own = place.at('warning').number(row.warning, null);
    const isPast =
      own !== null &&
      base.critical !== null &&
      (base.direction === 'above' ? own > base.critical : own < base.critical);
    if (isPast) named.critical = null;
  }
  return {
    match: matchersOf(place.at('match'), row.match),
    enabled,
    ...thresholdsOf(place, row, named),
  };
}

export function matchersOf(place: Place, given: unknown): AlertMatchers {
  const row = place.object(given);
  if (Object.keys(row).length === 0) throw place.invalid('at least one label', given);
  for (const [label, value] of Object.entries(row)) place.at(label).text(value);
  return row as AlertMatchers;
}

function notificationsOf(place: Place, given: unknown): NotificationPolicy {
  if (given === undefined) return defaultNotifications;
  const row = place.object(given, ['repeat', 'groupWait', 'groupBy']);
  const base = defaultNotifications;
  const groupBy =
    row.groupBy === undefined
      ? base.groupBy
      : place
          .at('groupBy')
          .list(row.groupBy)
          .map((each, i) => place.at(`groupBy[${i}]`).text(each));
  const repeatMs = durationOf(place.at('repeat'), row.repeat, base.repeatMs);
  if (repeatMs < seconds(10)) throw place.at('repeat').invalid('at least 10s', row.repeat);
  return {
    repeatMs,
    groupWaitMs: durationOf(place.at('groupWait'), row.groupWait, base.groupWaitMs),
    groupBy,
  };
}

function durationOf(place: Place, given: unknown, otherwise: number): number {
  if (given === undefined) return otherwise;
  const ms = durationMs(given);
  if (ms === undefined) throw place.invalid('a duration such as 30s, 5m or 2h', given);
  return ms;
}

export type { ChannelConfig } from './channels/config.ts';
