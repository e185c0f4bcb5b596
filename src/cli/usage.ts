/** Wrong usage: one message that names the wrong word and the nearest right one; exit code 2. */
import { type Command, type CommanderError, InvalidArgumentError } from 'commander';
import { nearest } from '../runtime/index.ts';

/** Thrown by a command whose arguments contradict one another. */
export class UsageError extends Error {}

/** For an option or argument that takes one of a few words. */
export const oneOf =
  <const T extends string>(words: readonly T[]) =>
  (given: string): T => {
    const found = words.find((word) => word === given);
    if (found !== undefined) return found;
    throw new InvalidArgumentError(
      `Expected one of ${words.join(', ')}; did you mean ${nearest(given, words)}?`,
    );
  };

/** For an option that takes a whole number. */
export const wholeNumber =
  (minimum: number) =>
  (given: string): number => {
    const number = Number(given);
    if (/^\d+$/.test(given) && Number.isSafeInteger(number) && number >= minimum) return number;
    throw new InvalidArgumentError(`Expected a whole number, at least ${minimum}.`);
  };

/** Several words after one option, or the option several times. */
export const collect = (given: string, before: readonly string[] = []): string[] => [
  ...before,
  ...given.split(',').filter((word) => word !== ''),
];

/** What to print for commander's complaint; undefined when it was no complaint (help, version). */
export function usageMessage(
  error: CommanderError,
  program: Command,
  words: readonly string[],
): string | undefined {
  if (error.exitCode === 0 || error.code === 'commander.help') return undefined;
  const message = error.message.replace(/^error: /, '');
  const excess = /^too many arguments for '[^']*'.* got \d+: ([^,]*)/.exec(message);
  const command = commandOf(program, words);
  if (excess !== null && command.commands.length > 0) {
    const word = excess[1]!.replace(/\.$/, '');
    const known = command.commands.map((each) => each.name());
    return `unknown command '${word}' of ${command.name()}; did you mean ${nearest(word, known)}?`;
  }
  const wrong = /unknown (option|command) '([^']*)'/.exec(message);
  if (wrong === null) return message;
  const [, kind, word] = wrong;
  const known =
    kind === 'command' ? command.commands.map((each) => each.name()) : optionsOf(command);
  return `${message}; did you mean ${nearest(word!, known)}?`;
}

/**
 * The words, with `help` as the `--help` of what it names: commander has no `help` under a command that does something
 * by itself, and answers every other with no more than one word behind it. Throws UsageError for a name of no command.
 */
export function helpWords(program: Command, words: readonly string[]): readonly string[] {
  const at = words.indexOf('help');
  let command: Command | undefined = program;
  for (const word of words.slice(0, Math.max(at, 0))) command = command && below(command, word);
  // Where no commands follow, `help` is a topic's or a sink's name.
  if (at < 0 || command === undefined || command.commands.length === 0) return words;
  const path = words.slice(0, at);
  for (const word of words.slice(at + 1)) {
    if (['help', '--help', '-h'].includes(word) || command.commands.length === 0) break;
    const next = below(command, word);
    if (next === undefined) {
      const known = command.commands.map((each) => each.name());
      throw new UsageError(`unknown command '${word}'; did you mean ${nearest(word, known)}?`);
    }
    command = next;
    path.push(word);
  }
  return [...path, '--help'];
}

const below = (command: Command, word: string): Command | undefined =>
  command.commands.find((each) => each.name() === word);

const optionsOf = (command: Command): string[] => [
  ...command.options.flatMap(({ long }) => (long === undefined || long === null ? [] : [long])),
  '--help',
];

/** The command that the words lead to. */
function commandOf(program: Command, words: readonly string[]): Command {
  let command = program;
  for (const word of words) {
    command = below(command, word) ?? command;
  }
  return command;
}
