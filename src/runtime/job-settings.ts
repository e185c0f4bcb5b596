/** Settings of jobs that are started over HTTP and reach beyond the engine: off until they are given. */
import { optionalSecret, optionalText, section } from './setting.ts';

export const copySettings = section({
  url: optionalText({
    description:
      'The InfluxDB that copy-influx reads: --from when that is not given, and the only one over HTTP. Absent: no such job over HTTP.',
    environment: 'COPY_FROM_URL',
  }),
  user: optionalText({
    description: 'User of that InfluxDB.',
    environment: 'COPY_FROM_USER',
  }),
  password: optionalSecret({
    description: 'The user’s password.',
    environment: 'COPY_FROM_PASSWORD',
  }),
  token: optionalSecret({
    description: 'A token, instead of user and password.',
    environment: 'COPY_FROM_TOKEN',
  }),
});

export const migrateSettings = section({
  directory: optionalText({
    description:
      'Folder below which migrate-votes may be told to read SQLite files over HTTP. Absent: no such job over HTTP.',
    environment: 'TIDEMARK_MIGRATE_DIRECTORY',
  }),
});
