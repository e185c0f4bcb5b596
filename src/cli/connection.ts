/**
 * Finds the running engine: by `--url`, else by the data directory, else on the port; when none runs, starts
 * one in this process for the length of the command, without roles.
 */
import { FatalError } from '../model/index.ts';
import { type LoadedSettings, type Settings, systemClock } from '../runtime/index.ts';
import { type Client, createClient } from './client.ts';
import type { MainModule } from './engine.ts';

/** An engine that is starting tells its port late. */
const PORT_WAIT_MS = 15_000;
const PORT_POLL_MS = 100;
const PROBE_TIMEOUT_MS = 1_000;

export interface ConnectOptions {
  readonly url: string | undefined;
  readonly loaded: LoadedSettings;
  readonly loadMain: () => Promise<MainModule>;
}

export async function connect({ url, loaded, loadMain }: ConnectOptions): Promise<Client> {
  const { settings } = loaded;
  const token = settings.tokens[0]?.reveal();
  if (url !== undefined) {
    if (!/^https?:\/\//.test(url) || !URL.canParse(url)) {
      throw new FatalError(`--url: expected an address such as http://127.0.0.1:8080, got ${url}`, {
        code: 'CONFIG_INVALID',
        context: { name: '--url' },
      });
    }
    return createClient({ url, token });
  }
  const found =
    (settings.kafka.brokers.length === 0 ? await byDirectory(settings) : undefined) ??
    (await byPort(loaded));
  if (found !== undefined) return createClient({ url: found, token });
  return startOwn(settings, token, loadMain);
}

async function byDirectory(settings: Settings): Promise<string | undefined> {
  const { readOwner } = await import('../broker/index.ts');
  const deadline = systemClock.now() + PORT_WAIT_MS;
  for (;;) {
    const owner = await readOwner(settings.data);
    if (owner === undefined) return undefined;
    if (owner.port !== undefined) return address(settings.host, owner.port);
    if (systemClock.now() >= deadline) {
      throw new FatalError(
        `process ${owner.pid} runs on ${settings.data} without an HTTP service: start it with role api`,
        { code: 'ENGINE_UNREACHABLE' },
      );
    }
    await systemClock.sleep(PORT_POLL_MS);
  }
}

/**
 * Whoever names a data directory means the engine of that directory, not any that has the usual port; so the
 * port counts when it was given too, or when nothing was.
 */
async function byPort({ settings, values }: LoadedSettings): Promise<string | undefined> {
  const given = (path: string) =>
    values.find(({ setting }) => setting.path === path)?.origin !== 'default';
  const embedded = settings.kafka.brokers.length === 0;
  if (settings.port === 0 || (embedded && given('data') && !given('port'))) return undefined;
  const url = address(settings.host, settings.port);
  try {
    const answer = await fetch(`${url}/health`, { signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) });
    const { status, version } = (await answer.json()) as { status?: string; version?: string };
    return status !== undefined && version !== undefined ? url : undefined;
  } catch {
    return undefined;
  }
}

/** Where a service that listens on `host` is reached from this machine. */
function address(host: string, port: number): string {
  const reached = ['0.0.0.0', '::', ''].includes(host) ? '127.0.0.1' : host;
  return `http://${reached.includes(':') ? `[${reached}]` : reached}:${port}`;
}

async function startOwn(
  settings: Settings,
  token: string | undefined,
  loadMain: () => Promise<MainModule>,
): Promise<Client> {
  const { startEngine } = await loadMain();
  const engine = await startEngine({ ...settings, host: '127.0.0.1', port: 0 }, { roles: [] });
  try {
    const { createServer } = await import('../api/index.ts');
    const server = await createServer(engine.view, {
      tokens: settings.tokens,
      bodyBytesMax: settings.http.bodyBytesMax,
    });
    const url = await server.listen({ host: '127.0.0.1', port: 0 });
    return createClient({
      url,
      token,
      close: async () => {
        await server.close();
        await engine.stop();
      },
    });
  } catch (error) {
    await engine.stop();
    throw error;
  }
}
