/** The program `tidemark`. */
import { loadMain } from './engine.ts';
import { collectSeldom } from './heap.ts';
import { leave } from './leave.ts';
import { DONE, FAILED, runProgram } from './program.ts';
import { processTerminal } from './terminal.ts';

collectSeldom();
process.on('uncaughtException', (error) => {
  console.error(error);
  leave(FAILED);
});

let hasEngine = false;
const code = await runProgram(process.argv.slice(2), {
  terminal: processTerminal(),
  loadMain: () => {
    hasEngine = true;
    return loadMain();
  },
});
// What is written must be read before the process ends; nothing else may keep it.
const drained = (stream: NodeJS.WriteStream) =>
  new Promise<void>((resolve) => {
    if (stream.destroyed) resolve();
    else stream.write('', () => resolve());
  });
await Promise.all([drained(process.stdout), drained(process.stderr)]);
// An engine that ended in an error may have left something open.
if (hasEngine && code !== DONE) leave(code);
process.exit(code);
