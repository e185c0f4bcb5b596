/**
 * The JDK that the Java servers run on, and their jars from Maven. Cassandra 4.1 starts on 17 at the latest
 * (later ones took away what it calls), Kafka 4.1 on 17 at the earliest: so 17 it is.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Path of a JDK 17 `java`: JAVA_HOME, the usual folder, then PATH. Rejects saying what to install. */
export async function java17(): Promise<string> {
  const candidates: string[] = [];
  if (process.env.JAVA_HOME) candidates.push(join(process.env.JAVA_HOME, 'bin', 'java'));
  for (const name of await readdir('/usr/lib/jvm').catch(() => [])) {
    const java = join('/usr/lib/jvm', name, 'bin', 'java');
    if (name.includes('17') && existsSync(java)) candidates.push(java);
  }
  candidates.push('java');
  for (const candidate of candidates) {
    const said = await run(candidate, ['-version']).catch(() => undefined);
    if (said !== undefined && /version "17[."]/.test(said.stderr)) return candidate;
  }
  throw new Error('no JDK 17: install openjdk-17-jdk-headless, or set JAVA_HOME to one');
}

/** Two Mavens at once may spoil the shared ~/.m2, so they queue. */
let mavenQueue: Promise<unknown> = Promise.resolve();

/**
 * The folder with the jars of `<name>.pom.xml`, fetched once per content of that file and kept in the cache.
 * Tries three times, since registries hiccup.
 */
export function jars(name: string, cache: string): Promise<string> {
  const fetched = mavenQueue.then(() => fetchJars(name, cache));
  mavenQueue = fetched.catch(() => {});
  return fetched;
}

async function fetchJars(name: string, cache: string): Promise<string> {
  const pom = join(import.meta.dirname, `${name}.pom.xml`);
  const digest = createHash('sha256')
    .update(await readFile(pom))
    .digest('hex')
    .slice(0, 12);
  const folder = join(cache, 'jars', `${name}-${digest}`);
  const complete = await readdir(folder).catch(() => []);
  if (complete.length > 0) return folder;

  const partial = `${folder}.partial`;
  await mkdir(partial, { recursive: true });
  await cp(pom, join(partial, 'pom.xml'));
  const parameters = ['-q', '-B', 'dependency:copy-dependencies', '-DoutputDirectory=lib'];
  for (let attempt = 1; ; attempt++) {
    try {
      await run('mvn', parameters, { cwd: partial, maxBuffer: 64 * 1024 * 1024 });
      break;
    } catch (error) {
      if (attempt === 3) {
        const cure = 'is Maven (mvn) installed and its registry within reach?';
        throw new Error(`${name}: its jars did not come; ${cure}`, { cause: error });
      }
    }
  }
  await rename(join(partial, 'lib'), folder);
  await rm(partial, { recursive: true });
  return folder;
}

/** JVM flags every server gets: its own temporary folder, so that nothing is left in the machine's. */
export async function temporaryFolder(directory: string): Promise<string> {
  const folder = join(directory, 'tmp');
  await mkdir(folder, { recursive: true });
  return `-Djava.io.tmpdir=${folder}`;
}

export const opens = (...packages: string[]): string[] =>
  packages.flatMap((name) => ['--add-opens', `java.base/${name}=ALL-UNNAMED`]);

/** Logback configuration for the two servers that use it: warnings and errors to stdout. */
export async function writeLogback(folder: string): Promise<string> {
  const path = join(folder, 'logback.xml');
  await writeFile(
    path,
    `<configuration>
  <appender name="O" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%d{HH:mm:ss} %-5level %logger{20} %msg%n</pattern></encoder>
  </appender>
  <root level="WARN"><appender-ref ref="O"/></root>
</configuration>
`,
  );
  return path;
}
