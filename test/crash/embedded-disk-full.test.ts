/** A disk that takes no more, as a file size limit shows it: refused, nothing half, and on again once there is room. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../support/embedded-broker.ts';

const child = fileURLToPath(new URL('./embedded-disk-full.child.ts', import.meta.url));

test('a log that can not grow refuses retriably, keeps what it has, and goes on when retention made room', async () => {
  const directory = await temporaryDirectory();
  // 20,000 blocks of 1 KiB; Node itself ignores SIGXFSZ, so the write fails instead.
  const { stdout } = await promisify(execFile)('bash', [
    '-c',
    `ulimit -f 20000; exec "$0" "$@"`,
    process.execPath,
    child,
    directory,
  ]);
  const told = JSON.parse(stdout.trim().split('\n').at(-1) as string);
  expect(told.appended).toBeGreaterThan(10);
  expect(told.appended).toBeLessThan(21);
  expect(told).toMatchObject({
    family: 'retriable',
    code: 'LOG_WRITE_FAILED',
    message: expect.stringContaining('nothing of this write happened'),
    nextOffset: told.appended,
    lastReadable: 1,
    after: told.appended,
  });
});
