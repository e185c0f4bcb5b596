/**
 * Makes Java entrants ready to run: their jars from Maven Central (once, into the user's cache) and their classes
 * by javac, into a folder of the caller's. `java/` is compiled with each peer's own.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { peersCache, run } from './prepare.ts';

const NEEDS = 'a JDK of 17 or newer, and Maven';

/** By peer, what its JVM is told beside the class path; Flink's are those of its own start scripts. */
const jvmArguments = {
  'kafka-streams': [],
  flink: [
    '-Xms1g',
    '--add-opens=java.base/java.util=ALL-UNNAMED',
    '--add-opens=java.base/java.lang=ALL-UNNAMED',
  ],
};

/** The command line of a main class, all prepared. */
export function prepareJava(
  peer: keyof typeof jvmArguments,
  mainClass: string,
  folder: string,
): string[] {
  const jars = join(peersCache, peer);
  const classes = join(folder, peer);
  if (!existsSync(join(classes, `${mainClass}.class`))) {
    fetchJars(peer, jars);
    const sources = ['java', peer].flatMap(javaFiles);
    run('javac', ['-d', classes, '-cp', join(jars, '*'), ...sources], NEEDS);
  }
  const classPath = `${classes}:${join(jars, '*')}`;
  // What a JVM leaves among temporary files, Flink's 40 MiB a run, goes with the folder.
  const temporary = `-Djava.io.tmpdir=${folder}`;
  return ['java', '-Xmx1g', temporary, ...jvmArguments[peer], '-cp', classPath, mainClass];
}

function fetchJars(peer: string, jars: string): void {
  if (existsSync(jars) && readdirSync(jars).some((file) => /^t-digest-/.test(file))) return;
  const goal = ['-q', '-B', '-f', join(folderOf(peer), 'pom.xml'), 'dependency:copy-dependencies'];
  run('mvn', [...goal, '-DincludeScope=runtime', `-DoutputDirectory=${jars}`], NEEDS);
}

function javaFiles(folder: string): string[] {
  const files = readdirSync(folderOf(folder)).filter((file) => file.endsWith('.java'));
  return files.map((file) => join(folderOf(folder), file));
}

const folderOf = (name: string): string => fileURLToPath(new URL(`./${name}/`, import.meta.url));
