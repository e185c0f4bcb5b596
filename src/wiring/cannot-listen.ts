/** Says why the service has no port, and how to mend it. */
import { FatalError } from '../model/index.ts';

/** A port that is taken or not allowed becomes a FatalError; any other error stays as it is. */
export function cannotListen(error: unknown, host: string, port: number): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'EADDRINUSE') {
    return new FatalError(
      `Port ${port} of ${host} is in use by another program. Stop it, or name another port with --port (0: any free one).`,
      { code: 'PORT_IN_USE', context: { host, port } },
    );
  }
  if (code === 'EACCES') {
    return new FatalError(
      `This user may not listen on port ${port} of ${host}. Name another with --port, 1024 or above.`,
      { code: 'PORT_NOT_ALLOWED', context: { host, port } },
    );
  }
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') {
    return new FatalError(
      `${host} is no address of this machine. Name one with --host: 127.0.0.1 for this machine alone, 0.0.0.0 for all.`,
      { code: 'HOST_UNKNOWN', context: { host, port } },
    );
  }
  return error;
}
