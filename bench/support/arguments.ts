/** `--name value`, `--list a,b` and `--flag` of a bench, checked; anything else ends it with exit code 2 and the usage. */
import { parseArgs } from 'node:util';

export interface BenchArguments<Word extends string> {
  number(name: string): number;
  flag(name: string): boolean;
  /** The words given, each once and in the order of the usage; all of them by default. */
  list(name: string): readonly Word[];
}

/** `numbers` by name with their defaults; `flags` are false unless given; `lists` by name with the words they take. */
export function benchArguments<Word extends string = never>(
  numbers: Readonly<Record<string, number>>,
  flags: readonly string[] = [],
  lists: Readonly<Record<string, readonly Word[]>> = {},
): BenchArguments<Word> {
  const fail = (message: string): never => {
    const usage = [
      ...Object.entries(numbers).map(([name, value]) => `--${name} N (default ${value})`),
      ...Object.entries(lists).map(([name, words]) => `--${name} ${words.join(',')} (default all)`),
      ...flags.map((name) => `--${name}`),
    ];
    process.stderr.write(`${message}\n  ${usage.join('\n  ')}\n`);
    process.exit(2);
  };
  try {
    const parsed = parseArgs({
      options: Object.fromEntries([
        ...[...Object.keys(numbers), ...Object.keys(lists)].map((name) => [
          name,
          { type: 'string' as const },
        ]),
        ...flags.map((name) => [name, { type: 'boolean' as const }]),
      ]),
    });
    const values: Readonly<Record<string, unknown>> = parsed.values;
    return {
      number(name) {
        const given = values[name];
        const value = given === undefined ? (numbers[name] as number) : Number(given);
        return value > 0 ? value : fail(`--${name} takes a number above 0`);
      },
      flag: (name) => values[name] === true,
      list(name) {
        const words = lists[name] as readonly Word[];
        const given = values[name] === undefined ? words : String(values[name]).split(',');
        const unknown = given.find((word) => !words.some((known) => known === word));
        if (unknown !== undefined) fail(`--${name} does not know "${unknown}"`);
        return words.filter((word) => given.includes(word));
      },
    };
  } catch (error) {
    return fail((error as Error).message);
  }
}

/** An environment variable a bench can't do without. */
export function required(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === '') {
    process.stderr.write(`set ${name}: npm run servers up && eval "$(npm run -s servers env)"\n`);
    process.exit(2);
  }
  return value;
}
