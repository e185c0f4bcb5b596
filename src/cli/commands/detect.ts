/** `tidemark detect FILE.csv`: a detector tried on a history; every row with its score. */
import { Command } from 'commander';
import {
  bestDetector,
  createDetector,
  type DetectorName,
  detectorNames,
} from '../../stats/index.ts';
import type { CliContext } from '../context.ts';
import { readSeries, timeOfRow } from '../series-file.ts';
import { write } from '../terminal.ts';
import { oneOf } from '../usage.ts';

/** Characters written at once. */
const CHUNK_LENGTH = 64 * 1_024;

interface Flags {
  readonly detector: DetectorName;
}

export function detectCommand(context: CliContext): Command {
  return new Command('detect')
    .description('score how unusual each value of a history is, from 0 to 1; 0.5 alarms')
    .argument('<file>', 'CSV with columns timestamp,value; - for stdin')
    .option(
      '--detector <name>',
      `one of ${detectorNames.join(', ')}`,
      oneOf(detectorNames),
      bestDetector,
    )
    .action((file: string, flags: Flags) => detect(context, file, flags));
}

async function detect({ terminal }: CliContext, file: string, flags: Flags): Promise<void> {
  const detector = createDetector(flags.detector);
  let text = 'timestamp,value,score\n';
  for await (const row of readSeries(file, terminal.stdin)) {
    if (terminal.stopped.aborted) return;
    const score = detector.push(timeOfRow(row), row.value);
    text += `${row.timestamp},${row.valueText},${score.toFixed(6)}\n`;
    if (text.length < CHUNK_LENGTH) continue;
    await write(terminal.stdout, text);
    text = '';
  }
  await write(terminal.stdout, text);
}
