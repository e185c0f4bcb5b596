/** The command line; `main.ts` beside this file is the program. */
export type {
  Engine,
  MainModule,
  SetupStep,
  StartOptions,
} from './engine.ts';
export { runProgram } from './program.ts';
