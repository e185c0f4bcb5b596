/**
 * Makes the Kafka Streams entrants ready to run: their jars from Maven Central (once, into the user's cache) and
 * their classes by javac, into a folder of the caller's. Needs a JDK of 17 or newer and Maven.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const sources = fileURLToPath(new URL('./kafka-streams/', import.meta.url));
const jars = join(
  process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'),
  'tidemark-bench',
  'kafka-streams',
);

/** Resolves a main class to its command line. */
export function prepareKafkaStreams(classes: string): (mainClass: 'Dsl' | 'Expert') => string[] {
  const hasJars = existsSync(jars) && readdirSync(jars).some((file) => /^t-digest-/.test(file));
  if (!hasJars) {
    run('mvn', [
      ...['-q', '-B', '-f', join(sources, 'pom.xml'), 'dependency:copy-dependencies'],
      ...['-DincludeScope=runtime', `-DoutputDirectory=${jars}`],
    ]);
  }
  const files = readdirSync(sources).filter((file) => file.endsWith('.java'));
  run('javac', ['-d', classes, '-cp', join(jars, '*'), ...files.map((f) => join(sources, f))]);
  return (mainClass) => ['java', '-Xmx1g', '-cp', `${classes}:${join(jars, '*')}`, mainClass];
}

function run(command: string, rest: readonly string[]): void {
  try {
    execFileSync(command, rest, { stdio: ['ignore', 'inherit', 'inherit'] });
  } catch (cause) {
    throw new Error(`${command} failed; the peers need a JDK (17 or newer) and Maven`, { cause });
  }
}
