/** All commands as one program, and what becomes of their errors: exit codes 0 done, 1 failed, 2 wrong usage. */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { messageOf, TidemarkError } from '../model/index.ts';
import { agentCommand } from './commands/agent.ts';
import { alertsCommand } from './commands/alerts.ts';
import { backlogCommand } from './commands/backlog.ts';
import { backupCommand, restoreCommand } from './commands/backup.ts';
import { compareKairosCommand } from './commands/compare-kairos.ts';
import { configCommand } from './commands/config.ts';
import { copyInfluxCommand } from './commands/copy-influx.ts';
import { demoCommand } from './commands/demo.ts';
import { describeCommand } from './commands/describe.ts';
import { detectCommand } from './commands/detect.ts';
import { dualWritingCommand } from './commands/dual-writing.ts';
import { explainCommand } from './commands/explain.ts';
import { forecastCommand } from './commands/forecast.ts';
import { jobsCommand } from './commands/jobs.ts';
import { lagCommand } from './commands/lag.ts';
import { migrateVotesCommand } from './commands/migrate-votes.ts';
import { publishCommand } from './commands/publish.ts';
import { replayCommand } from './commands/replay.ts';
import { setupCommand } from './commands/setup.ts';
import { simulateCommand } from './commands/simulate.ts';
import { subscribeCommand } from './commands/subscribe.ts';
import { topicsCommand } from './commands/topics.ts';
import { upCommand } from './commands/up.ts';
import { verifyCommand } from './commands/verify.ts';
import type { CliContext } from './context.ts';
import { loadMain, type MainModule } from './engine.ts';
import { type Terminal, write } from './terminal.ts';
import { helpWords, UsageError, usageMessage } from './usage.ts';

export const DONE = 0;
export const FAILED = 1;
export const WRONG_USAGE = 2;

/** In the order in which they are listed. */
const commands = [
  demoCommand,
  upCommand,
  setupCommand,
  publishCommand,
  subscribeCommand,
  replayCommand,
  explainCommand,
  verifyCommand,
  describeCommand,
  topicsCommand,
  lagCommand,
  backlogCommand,
  dualWritingCommand,
  backupCommand,
  restoreCommand,
  alertsCommand,
  jobsCommand,
  compareKairosCommand,
  configCommand,
  agentCommand,
  simulateCommand,
  copyInfluxCommand,
  migrateVotesCommand,
  detectCommand,
  forecastCommand,
];

/** Runs `words` (without node and program) and resolves with the exit code. */
export async function runProgram(
  words: readonly string[],
  options: { readonly terminal: Terminal; readonly loadMain?: () => Promise<MainModule> },
): Promise<number> {
  const { terminal } = options;
  let code = DONE;
  const context: CliContext = {
    terminal,
    loadMain: options.loadMain ?? loadMain,
    fail: () => {
      code = FAILED;
    },
  };
  const program = new Command('tidemark')
    .description('Stream processing: exact under crashes, replayable bit for bit.')
    .version(packageVersion())
    .showSuggestionAfterError(false)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void terminal.stdout.write(text),
      // Complaints are printed below, with the nearest right word; help asked for by no command goes here.
      writeErr: (text) => void terminal.stderr.write(text),
      outputError: () => {},
    });
  for (const command of commands) program.addCommand(command(context));
  inherit(program);
  try {
    await program.parseAsync([...helpWords(program, words)], { from: 'user' });
    return code;
  } catch (error) {
    return explain(error, program, words, terminal);
  }
}

/** Settings of the program go down to every command, which may have options of the same name as its parent. */
function inherit(parent: Command): void {
  parent.enablePositionalOptions();
  for (const command of parent.commands) {
    command.copyInheritedSettings(parent);
    inherit(command);
  }
}

async function explain(
  error: unknown,
  program: Command,
  words: readonly string[],
  terminal: Terminal,
): Promise<number> {
  if (error instanceof CommanderError) {
    const message = usageMessage(error, program, words);
    if (message !== undefined) await write(terminal.stderr, `tidemark: ${message}\n`);
    return error.exitCode === 0 ? DONE : WRONG_USAGE;
  }
  const isOurs = error instanceof TidemarkError || error instanceof UsageError;
  const code = error instanceof TidemarkError ? ` [${error.code}]` : '';
  await write(terminal.stderr, `tidemark: ${messageOf(error)}${code}\n`);
  if (!isOurs && error instanceof Error) await write(terminal.stderr, `${error.stack}\n`);
  return isWrongUsage(error) ? WRONG_USAGE : FAILED;
}

/** A name that does not exist is a wrong word, too. */
const wrongNames: ReadonlySet<string> = new Set([
  'UNKNOWN_NAME',
  'UNKNOWN_PARTITION',
  'UNKNOWN_SINK',
  'UNKNOWN_TOPIC',
]);

/** Whether the command line itself is wrong; a setting in a file or the environment is not part of it. */
const isWrongUsage = (error: unknown): boolean =>
  error instanceof UsageError ||
  (error instanceof TidemarkError &&
    (wrongNames.has(error.code) || String(error.context.name ?? '').startsWith('--')));

/** From the sources, and from the compiled files one folder further down. */
function packageVersion(): string {
  for (const path of ['../../package.json', '../../../package.json']) {
    try {
      const { name, version } = JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8'));
      if (name === 'tidemark') return version;
    } catch {
      // The other place has it.
    }
  }
  return 'unknown';
}
