/** `tidemark forecast FILE.csv`: Holt–Winters fitted to a history, and what comes next, as JSON. */
import { Command, InvalidArgumentError } from 'commander';
import { fitHoltWinters, forecast, type Seasonal } from '../../stats/index.ts';
import type { CliContext } from '../context.ts';
import { readSeries } from '../series-file.ts';
import { write } from '../terminal.ts';
import { oneOf, wholeNumber } from '../usage.ts';

interface Flags {
  readonly period: number;
  readonly seasonal: Seasonal;
  readonly alpha?: number;
  readonly beta?: number;
  readonly gamma?: number;
  readonly horizon?: number;
  readonly interval?: number;
}

export function forecastCommand(context: CliContext): Command {
  return new Command('forecast')
    .description('fit Holt–Winters to a history and forecast what comes next')
    .argument('<file>', 'CSV with a column value; - for stdin')
    .requiredOption('--period <number>', 'values in one season', wholeNumber(2))
    .option(
      '--seasonal <kind>',
      'additive or multiplicative',
      oneOf(['additive', 'multiplicative']),
      'additive',
    )
    .option('--alpha <share>', 'weight of the newest value in the level; searched if absent', share)
    .option('--beta <share>', 'the same for the trend', share)
    .option('--gamma <share>', 'the same for the season', share)
    .option(
      '--horizon <number>',
      'how many values to forecast (default: one season)',
      wholeNumber(1),
    )
    .option(
      '--interval <share>',
      'add lower and upper bounds that hold with this probability',
      inner,
    )
    .action((file: string, flags: Flags) => run(context, file, flags));
}

async function run({ terminal }: CliContext, file: string, flags: Flags): Promise<void> {
  const values: number[] = [];
  for await (const { value } of readSeries(file, terminal.stdin)) {
    if (terminal.stopped.aborted) return;
    values.push(value);
  }
  const { horizon = flags.period, interval } = flags;
  const fit = fitHoltWinters(values, flags);
  const { alpha, beta, gamma, sse, model } = fit;
  const { mean, lower, upper } = forecast(fit, horizon, interval);
  const report = {
    alpha,
    beta,
    gamma,
    sse,
    ...model.state,
    forecast: Array.from(mean),
    ...(interval === undefined ? {} : { lower: Array.from(lower), upper: Array.from(upper) }),
  };
  await write(terminal.stdout, `${JSON.stringify(report)}\n`);
}

function share(given: string): number {
  const number = Number(given);
  if (given.trim() !== '' && number >= 0 && number <= 1) return number;
  throw new InvalidArgumentError('Expected a share from 0 to 1.');
}

function inner(given: string): number {
  const number = Number(given);
  if (number > 0 && number < 1) return number;
  throw new InvalidArgumentError('Expected a share between 0 and 1, such as 0.95.');
}
