/**
 * Free loopback ports. They come from below the range that the kernel hands to outgoing connections
 * (32768 and up on Linux), so that none is taken between being chosen here and bound by the server.
 */
import { randomInt } from 'node:crypto';
import { connect, createServer } from 'node:net';

const lowestPort = 20_000;
const highestPort = 32_000;

/** True when nobody listens there, on loopback or on all addresses. */
async function isFree(port: number): Promise<boolean> {
  for (const host of ['127.0.0.1', '::']) {
    const bound = await new Promise<boolean>((resolve) => {
      const server = createServer();
      // A machine without IPv6 refuses '::' with EAFNOSUPPORT: nobody can listen there either.
      server.on('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'EADDRINUSE'));
      server.listen(port, host, () => server.close(() => resolve(true)));
    });
    if (!bound) return false;
  }
  return true;
}

/** One free port for each name, all different, none of those in `taken`. */
export async function freePorts(
  names: readonly string[],
  taken: ReadonlySet<number> = new Set(),
): Promise<Record<string, number>> {
  const used = new Set(taken);
  const ports: Record<string, number> = {};
  for (const name of names) {
    let port: number;
    do port = randomInt(lowestPort, highestPort);
    while (used.has(port) || !(await isFree(port)));
    used.add(port);
    ports[name] = port;
  }
  return ports;
}

/** True when something accepts TCP connections there. */
export function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}

/** True when a GET is answered with 2xx within two seconds. */
export async function answers(url: string): Promise<boolean> {
  const response = await fetch(url, { signal: AbortSignal.timeout(2_000) }).catch(() => undefined);
  await response?.body?.cancel();
  return response?.ok ?? false;
}
