/** `tidemark up` in one process, with the launcher's flags and environment but without it in front, so that its figures are its own. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const { nodeFlags, nodeEnvironment } = createRequire(import.meta.url)(
  '../../bin/node-setup.js',
) as {
  nodeFlags(): string[];
  nodeEnvironment(words: readonly string[]): NodeJS.ProcessEnv;
};
const root = fileURLToPath(new URL('../../', import.meta.url));
const program = join(root, 'dist/src/cli/main.js');

export interface TidemarkProcess {
  readonly url: string;
  readonly pid: number;
  stop(): Promise<void>;
}

interface StartOptions {
  readonly directory: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Behind `up`. Default: the roles that do what a Java KairosDB does. */
  readonly flags?: readonly string[];
}

let isBuilt = false;

/** What is installed, beside a Java KairosDB that is. The first is started twice: the next one finds what V8 compiled. */
export async function startTidemark(options: StartOptions): Promise<TidemarkProcess> {
  if (!isBuilt) {
    isBuilt = true;
    await promisify(execFile)('npm', ['run', 'build'], { cwd: root });
    await (await start({ ...options, directory: `${options.directory}-first` })).stop();
  }
  return start(options);
}

async function start(options: StartOptions): Promise<TidemarkProcess> {
  const { directory, environment, flags = ['--roles', 'ingest,query,sinks'] } = options;
  mkdirSync(directory, { recursive: true });
  const { NODE_COMPILE_CACHE, MALLOC_MMAP_THRESHOLD_, MALLOC_TRIM_THRESHOLD_ } =
    nodeEnvironment(flags);
  const child = spawn(
    process.execPath,
    [...nodeFlags(), program, 'up', '--data', directory, '--port', '0', ...flags],
    {
      env: {
        PATH: process.env.PATH,
        NODE_COMPILE_CACHE,
        MALLOC_MMAP_THRESHOLD_,
        MALLOC_TRIM_THRESHOLD_,
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
