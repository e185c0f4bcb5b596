/** `tidemark up` in one process, with the launcher's flags and compile cache but without it in front, so that its figures are its own. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const { nodeFlags, nodeEnvironment } = createRequire(import.meta.url)(
  '../../bin/node-setup.js',
) as {
  nodeFlags(): string[];
  nodeEnvironment(): NodeJS.ProcessEnv;
};
const program = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

export interface TidemarkProcess {
  readonly url: string;
  readonly pid: number;
  stop(): Promise<void>;
}

export async function startTidemark(options: {
  readonly directory: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Behind `up`. */
  readonly flags?: readonly string[];
}): Promise<TidemarkProcess> {
  const { directory, environment, flags = ['--roles', 'ingest,query,sinks,api'] } = options;
  mkdirSync(directory, { recursive: true });
  const child = spawn(
    process.execPath,
    [...nodeFlags(), program, 'up', '--data', directory, '--port', '0', ...flags],
    {
      env: {
        PATH: process.env.PATH,
        NODE_COMPILE_CACHE: nodeEnvironment().NODE_COMPILE_CACHE,
        LOG_LEVEL: 'warn',
        ...environment,
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const exited = once(child, 'exit');
  const url = await new Promise<string>((resolve, reject) => {
    let printed = '';
    child.stdout.on('data', (bytes: Buffer) => {
      printed += bytes;
      const found = /^listening on (\S+)$/m.exec(printed)?.[1];
      if (found !== undefined) resolve(found);
    });
    child.once('exit', () => reject(new Error(`tidemark ended: ${printed}`)));
  });
  return {
    url,
    pid: child.pid as number,
    async stop() {
      child.kill('SIGTERM');
      await exited;
    },
  };
}
