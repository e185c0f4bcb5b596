/**
 * The KairosDB client library for Java, in a program as its users write it (support/java-client), against our server
 * and against the original: it must say the same of both.
 */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../support/embedded-broker.ts';
import { EngineProcess } from '../support/engine-process.ts';
import { needs } from '../support/require.ts';
import { jars, java17, opens } from '../support/servers/java.ts';
import { serversHome } from '../support/servers/state.ts';

const run = promisify(execFile);
const here = needs(['KAIROSDB_URL']);
const program = fileURLToPath(new URL('../support/java-client/UseKairos.java', import.meta.url));

/** What the program says of a server, line by line. */
async function use(url: string): Promise<string[]> {
  const [java, libraries] = await Promise.all([java17(), jars('kairos-client', serversHome())]);
  const name = `client.${randomUUID().slice(0, 8)}`;
  // The library looks into the JDK's own time zones.
  const parameters = [...opens('java.util', 'sun.util.calendar'), '-cp', `${libraries}/*`];
  const { stdout } = await run(java, [...parameters, program, url, name], { timeout: 100_000 });
  return stdout.trimEnd().replaceAll(name, 'NAME').split('\n');
}

describe.skipIf(!here)('the KairosDB client library', () => {
  test('pushes, asks, lists, rolls up and deletes as with the original', async () => {
    const ours = EngineProcess.forThisTest({
      data: await temporaryDirectory(),
      flags: ['--roles', 'ingest,query,sinks,api', '--telnet-port', '0'],
    });
    const said = await use(await ours.url());
    expect(said).toHaveLength(28);
    expect(said).toContain('names: [NAME.numbers, NAME.words]');
    expect(said).toContain('no rollup: 404');
    expect(said).toContain('gone: []');
    expect(said).toEqual(await use(process.env.KAIROSDB_URL ?? ''));
  });
});
