/** InfluxDB 2.7 from a single binary: INFLUXD, the PATH, or the packed one of the shared folder. */
import { execFile, spawn } from 'node:child_process';
import { createWriteStream, existsSync } from 'node:fs';
import { chmod, mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { answers } from './ports.ts';
import type { Server } from './server.ts';

const organization = 'tidemark';

/** `xz` archive of a 2.7 influxd, beside the checkout. */
export const packedInfluxd = join(
  import.meta.dirname,
  '../../../../shared/stack/influxd.xz', // test/support/servers → checkout → its neighbour
);

/** The program, unpacked when needed. */
export async function influxd(cache: string): Promise<string> {
  const unpacked = join(cache, 'influxd-2.7');
  for (const candidate of [process.env.INFLUXD, 'influxd', unpacked]) {
    if (!candidate) continue;
    const said = await promisify(execFile)(candidate, ['version']).catch(() => undefined);
    // Debian's influxd is 1.x: another program under the same name.
    if (said !== undefined && /\bv?2\.\d/.test(said.stdout)) return candidate;
  }
  if (!existsSync(packedInfluxd)) {
    throw new Error(
      'influxdb: no influxd 2.x in INFLUXD or on the PATH, and no ../shared/stack/influxd.xz to unpack',
    );
  }
  await mkdir(cache, { recursive: true });
  const xz = spawn('xz', ['-dc', packedInfluxd], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise<void>((resolve, reject) => {
    xz.on('error', (error) =>
      reject(new Error('influxdb: xz does not start: install xz-utils', { cause: error })),
    );
    xz.on('close', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`xz ended with ${code}`));
    });
  });
  const partial = `${unpacked}.${process.pid}.partial`;
  await Promise.all([pipeline(xz.stdout, createWriteStream(partial)), ended]);
  await chmod(partial, 0o755);
  await rename(partial, unpacked);
  return unpacked;
}

export const influxdb: Server = {
  name: 'influxdb',
  after: [],
  ports: ['http'],
  readyWithinMs: 90_000,

  async prepare({ directory, cache, ports }) {
    const data = join(directory, 'data');
    await mkdir(data, { recursive: true });
    return [
      await influxd(cache),
      'run',
      ...['--bolt-path', join(data, 'influxd.bolt')],
      ...['--engine-path', join(data, 'engine')],
      ...['--sqlite-path', join(data, 'influxd.sqlite')],
      ...['--http-bind-address', `127.0.0.1:${ports.http}`],
      ...['--reporting-disabled', '--ui-disabled', '--log-level', 'warn'],
    ];
  },

  async ready({ ports, secret }) {
    const base = `http://127.0.0.1:${ports.http}`;
    if (!(await answers(`${base}/health`))) return false;
    const response = await fetch(`${base}/api/v2/setup`, {
      method: 'POST',
      body: JSON.stringify({
        username: 'admin',
        password: secret,
        org: organization,
        bucket: 'first',
        token: secret,
        retentionPeriodSeconds: 0,
      }),
    });
    // 422: set up by an earlier look at readiness.
    return response.status === 201 || response.status === 422;
  },

  addresses: ({ ports, secret }) => ({
    INFLUX_URL: `http://127.0.0.1:${ports.http}`,
    INFLUX_ORG: organization,
    INFLUX_TOKEN: secret,
  }),
};
