/** `--name value` and `--flag` of a bench, checked; anything else ends it with exit code 2 and the usage. */
import { parseArgs } from 'node:util';

export interface BenchArguments {
  number(name: string): number;
  flag(name: string): boolean;
}

/** `numbers` by name with their defaults; `flags` are false unless given. */
export function benchArguments(
  numbers: Readonly<Record<string, number>>,
  flags: readonly string[] = [],
): BenchArguments {
  const fail = (message: string): never => {
    const usage = [
      ...Object.entries(numbers).map(([name, value]) => `--${name} N (default ${value})`),
      ...flags.map((name) => `--${name}`),
    ];
    process.stderr.write(`${message}\n  ${usage.join('\n  ')}\n`);
    process.exit(2);
  };
  try {
    const parsed = parseArgs({
      options: Object.fromEntries([
        ...Object.keys(numbers).map((name) => [name, { type: 'string' as const }]),
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
