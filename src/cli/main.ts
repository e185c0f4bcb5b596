/** The program `tidemark`. */
import { setFlagsFromString } from 'node:v8';
import { runProgram } from './program.ts';
import { processTerminal } from './terminal.ts';

// Bytes outside the heap count towards its limit, and don't have one of their own, 64 MiB above the last collection:
// half the long pauses (0049). Only where this flag of V8's is known to be there.
if (process.versions.node.startsWith('24.'))
  setFlagsFromString('--external-memory-accounted-in-global-limit');

const code = await runProgram(process.argv.slice(2), { terminal: processTerminal() });
// What is written must be read before the process ends; nothing else may keep it.
const drained = (stream: NodeJS.WriteStream) =>
  new Promise<void>((resolve) => {
    if (stream.destroyed) resolve();
    else stream.write('', () => resolve());
  });
await Promise.all([drained(process.stdout), drained(process.stderr)]);
process.exit(code);
