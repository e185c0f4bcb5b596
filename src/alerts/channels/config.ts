/** Where notifications go, as configured. URLs are secrets, too: Slack's carry their token. */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { type AlertMatchers, FatalError, messageOf } from '../../model/index.ts';
import { Secret } from '../../runtime/index.ts';
import type { Place } from '../place.ts';

interface ChannelBase {
  readonly name: string;
  /** Labels of the alerts that go here; none: all. */
  readonly match: AlertMatchers;
  readonly sendResolved: boolean;
}

export type ChannelConfig =
  | (ChannelBase & { readonly type: 'log' })
  | (ChannelBase & { readonly type: 'slack'; readonly url: Secret })
  | (ChannelBase & {
      readonly type: 'webhook';
      readonly url: Secret;
      /** Signs the body: `X-Tidemark-Signature: sha256=HEX`. */
      readonly secret?: Secret;
      readonly headers: Readonly<Record<string, Secret>>;
    })
  | (ChannelBase & {
      readonly type: 'email';
      readonly host: string;
      readonly port: number;
      /** `starttls` (default) refuses to go on without; `implicit` from the first byte; `none` in the clear. */
      readonly tls: 'starttls' | 'implicit' | 'none';
      /** PEM file of the authority that signed the server's certificate. */
      readonly ca?: string;
      readonly username?: string;
      readonly password?: Secret;
      readonly from: string;
      readonly to: readonly string[];
    });

const TYPES = ['log', 'slack', 'webhook', 'email'];
const COMMON = ['type', 'match', 'sendResolved'];
const secretKeys = (name: string) => [name, `${name}File`, `${name}Env`];
const KEYS: Readonly<Record<string, readonly string[]>> = {
  log: [],
  slack: secretKeys('url'),
  webhook: [...secretKeys('url'), ...secretKeys('secret'), 'headers'],
  email: ['host', 'port', 'tls', 'ca', 'username', ...secretKeys('password'), 'from', 'to'],
};

/** The keys that a channel of this type may have. */
export function channelKeys(given: unknown, place: Place): readonly string[] {
  const { type } = place.object(given);
  return [...COMMON, ...(KEYS[place.at('type').word(type, TYPES)] as readonly string[])];
}

export interface SecretSources {
  /** Where relative file names start. */
  readonly directory: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

export function channelOf(
  name: string,
  row: Record<string, unknown>,
  at: Place,
  sources: SecretSources,
): ChannelConfig {
  const match = row.match === undefined ? {} : at.at('match').object(row.match);
  for (const [label, value] of Object.entries(match)) at.at('match').at(label).text(value);
  const base = {
    name,
    match: match as AlertMatchers,
    sendResolved: at.at('sendResolved').flag(row.sendResolved, true),
  };
  const needed = (key: string): Secret => {
    const found = secretOf(row, key, at, sources);
    if (found !== undefined) return found;
    throw at.invalid(`${key}, ${key}File or ${key}Env`, undefined);
  };
  switch (row.type) {
    case 'slack':
      return { ...base, type: 'slack', url: webAddress(needed('url'), at) };
    case 'webhook': {
      const secret = secretOf(row, 'secret', at, sources);
      const headers = row.headers === undefined ? {} : at.at('headers').object(row.headers);
      return {
        ...base,
        type: 'webhook',
        url: webAddress(needed('url'), at),
        ...(secret === undefined ? {} : { secret }),
        headers: Object.fromEntries(
          Object.entries(headers).map(([header, value]) => [
            headerName(header, at.at('headers').at(header)),
            new Secret(at.at('headers').at(header).text(value)),
          ]),
        ),
      };
    }
    case 'email': {
      const password = secretOf(row, 'password', at, sources);
      const username =
        row.username === undefined ? undefined : at.at('username').text(row.username);
      if ((password === undefined) !== (username === undefined)) {
        throw at.invalid('username and password together, or neither', undefined);
      }
      const tls = at.at('tls').word(row.tls ?? 'starttls', ['starttls', 'implicit', 'none']);
      const to = typeof row.to === 'string' ? [row.to] : at.at('to').list(row.to);
      if (to.length === 0) throw at.at('to').invalid('at least one address', row.to);
      return {
        ...base,
        type: 'email',
        host: at.at('host').text(row.host),
        port: at.at('port').number(row.port, tls === 'implicit' ? 465 : 587, 1, 65_535) as number,
        tls: tls as 'starttls' | 'implicit' | 'none',
        ...(row.ca === undefined
          ? {}
          : { ca: resolve(sources.directory, at.at('ca').text(row.ca)) }),
        ...(username === undefined || password === undefined ? {} : { username, password }),
        from: address(row.from, at.at('from')),
        to: to.map((each, i) => address(each, at.at(`to[${i}]`))),
      };
    }
    default:
      return { ...base, type: 'log' };
  }
}

function secretOf(
  row: Record<string, unknown>,
  key: string,
  at: Place,
  { directory, environment }: SecretSources,
): Secret | undefined {
  const given = secretKeys(key).filter((each) => row[each] !== undefined);
  if (given.length > 1) throw at.invalid(`only one of ${given.join(', ')}`, undefined);
  if (row[key] !== undefined) return new Secret(at.at(key).text(row[key]));
  if (row[`${key}Env`] !== undefined) {
    const name = at.at(`${key}Env`).text(row[`${key}Env`]);
    const value = environment[name];
    if (value === undefined || value === '') {
      throw at.at(`${key}Env`).invalid(`the environment variable ${name} to be set`, undefined);
    }
    return new Secret(value);
  }
  if (row[`${key}File`] === undefined) return undefined;
  const file = at.at(`${key}File`).text(row[`${key}File`]);
  try {
    return new Secret(readFileSync(resolve(directory, file), 'utf8').trimEnd());
  } catch (error) {
    throw new FatalError(`${at.at(`${key}File`).name} can't be read: ${messageOf(error)}`, {
      code: 'CONFIG_UNREADABLE',
      cause: error,
    });
  }
}

function webAddress(url: Secret, at: Place): Secret {
  const text = url.reveal();
  const isWeb = URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);
  if (isWeb) return url;
  throw at.at('url').invalid('an address that begins with http:// or https://', 'text');
}

function headerName(name: string, at: Place): string {
  if (/^[A-Za-z0-9-]{1,100}$/.test(name)) return name;
  throw at.invalid('a header’s name', name);
}

/** `a@b` or `Name <a@b>`; a line break in it would write headers of its own. */
function address(given: unknown, at: Place): string {
  const text = at.text(given);
  if (/^[^\r\n]*[^\s@<>]+@[^\s@<>]+>?$/.test(text)) return text;
  throw at.invalid('an e-mail address', given);
}
