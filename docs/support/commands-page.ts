/** Every command's own help. */
import { Readable, Writable } from 'node:stream';
import { runProgram } from '../../src/cli/index.ts';
import { systemClock } from '../../src/runtime/index.ts';

export async function commandsPage(): Promise<string> {
  const top = await helpOf([]);
  const sections: string[] = [];
  for (const words of await commandsBelow([])) {
    sections.push(`## tidemark ${words.join(' ')}\n\n\`\`\`text\n${await helpOf(words)}\n\`\`\`\n`);
  }
  return `# Commands

Exit codes: 0 done, 1 failed (or, with \`replay --diff\`, different), 2 wrong usage. A command that asks a running
engine finds it by \`--url\`, by the data directory, or on the port; where none runs, it opens the log itself for as
long as it takes.

\`\`\`text
${top}
\`\`\`

${sections.join('\n')}`;
}

/** Commands in the order of the help, each before its own subcommands. */
async function commandsBelow(words: readonly string[]): Promise<readonly string[][]> {
  const listed = (await helpOf(words)).split('\nCommands:\n')[1] ?? '';
  const found: string[][] = [];
  for (const [, name] of listed.matchAll(/^ {2}([a-z][a-z-]*)/gm)) {
    if (name === 'help' || name === undefined) continue;
    const below = [...words, name];
    found.push(below, ...(await commandsBelow(below)));
  }
  return found;
}

async function helpOf(words: readonly string[]): Promise<string> {
  let printed = '';
  const stdout = new Writable({
    write(chunk, _encoding, done) {
      printed += chunk;
      done();
    },
  });
  // Help is as wide as the terminal; the page is not.
  const { isTTY } = process.stdout;
  process.stdout.isTTY = false;
  await runProgram([...words, '--help'], {
    terminal: {
      stdin: Readable.from([]),
      stdout,
      stderr: stdout,
      environment: {},
      clock: systemClock,
      stopped: new AbortController().signal,
    },
  });
  process.stdout.isTTY = isTTY;
  return printed.trim();
}
