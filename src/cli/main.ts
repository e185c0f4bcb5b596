/** The program `tidemark`. */
import { collectSeldom } from './heap.ts';
import { runProgram } from './program.ts';
import { processTerminal } from './terminal.ts';

collectSeldom();

const code = await runProgram(process.argv.slice(2), { terminal: processTerminal() });
// What is written must be read before the process ends; nothing else may keep it.
const drained = (stream: NodeJS.WriteStream) =>
  new Promise<void>((resolve) => {
    if (stream.destroyed) resolve();
    else stream.write('', () => resolve());
  });
await Promise.all([drained(process.stdout), drained(process.stderr)]);
process.exit(code);
