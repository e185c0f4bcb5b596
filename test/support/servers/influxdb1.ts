/** InfluxDB 1.x, the old server that is copied from: INFLUXD1, the PATH, or Debian's package without installing it. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** The program of a 1.x. */
export async function influxd1(cache: string): Promise<string> {
  const unpacked = join(cache, 'influxd-1');
  for (const candidate of [process.env.INFLUXD1, 'influxd', unpacked]) {
    if (!candidate) continue;
    const said = await run(candidate, ['version']).catch(() => undefined);
    if (said !== undefined && /\bv?1\.[4-8]/.test(said.stdout)) return candidate;
  }
  const folder = join(cache, `influxd-1.${process.pid}`);
  await mkdir(folder, { recursive: true });
  try {
    const download = () => run('apt-get', ['-qq', 'download', 'influxdb'], { cwd: folder });
    await download().catch(async () => {
      await run('apt-get', ['-qq', 'update']);
      await download();
    });
    const archive = (await readdir(folder)).find((name) => name.endsWith('.deb'));
    await run('dpkg-deb', ['-x', archive ?? 'influxdb.deb', 'content'], { cwd: folder });
    const partial = `${unpacked}.${process.pid}.partial`;
    await copyFile(join(folder, 'content/usr/bin/influxd'), partial);
    await rename(partial, unpacked);
  } catch (error) {
    if (!existsSync(unpacked)) {
      throw new Error(
        'influxdb1: no influxd 1.x in INFLUXD1 or on the PATH, and apt-get has no package influxdb',
        { cause: error },
      );
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return unpacked;
}
