/** Where InfluxDB is and who we are to it. Checked once here; the token is in no message and no log. */
import { FatalError } from '../../model/index.ts';
import { Type } from '../../runtime/index.ts';

export interface InfluxConfig {
  readonly url: string;
  readonly org: string;
  readonly token: string;
  readonly gzip: boolean;
}

export const influxConfigSchema = Type.Object(
  {
    url: Type.String({
      description: 'Base URL of an InfluxDB 2.x server, for instance http://127.0.0.1:8086.',
    }),
    org: Type.String({ description: 'Name or id of the organisation.' }),
    token: Type.String({
      description:
        'A token that may write to the buckets (sink), read them (reader) or create them (setup).',
    }),
    gzip: Type.Boolean({ default: true, description: 'Compress what is written.' }),
  },
  { additionalProperties: false },
);

/**
 * Checks the settings and strips the URL's trailing slash.
 * @throws FatalError INFLUX_CONFIG_INVALID naming the setting and its environment variable, never its value.
 */
export function influxConfig(
  settings: Omit<InfluxConfig, 'gzip'> & { readonly gzip?: boolean },
): InfluxConfig {
  const url = URL.canParse(settings.url) ? new URL(settings.url) : undefined;
  if (!url || !/^https?:$/.test(url.protocol) || url.username || url.password) {
    throw wrong('url', 'INFLUX_URL must be an http or https URL without a login in it');
  }
  if (settings.org === '') throw wrong('org', 'INFLUX_ORG must name an organisation');
  if (!/^[\x21-\x7e]+$/.test(settings.token)) {
    throw wrong('token', 'INFLUX_TOKEN must be printable ASCII without spaces (a line end in it?)');
  }
  const { org, token, gzip = true } = settings;
  return { url: `${url.origin}${url.pathname.replace(/\/+$/, '')}`, org, token, gzip };
}

function wrong(setting: string, message: string): FatalError {
  return new FatalError(message, { code: 'INFLUX_CONFIG_INVALID', context: { setting } });
}
