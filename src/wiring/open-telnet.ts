/** Opens KairosDB's telnet interface where the settings want it. Another program may have its port: then there is none. */
import { type KairosIngest, listenTelnet, type TelnetServer } from '../api/index.ts';
import { messageOf } from '../model/index.ts';
import type { Clock, Logger, Settings } from '../runtime/index.ts';
import { isLoopback } from '../runtime/index.ts';

export async function openTelnet(
  ingest: KairosIngest,
  parts: { readonly settings: Settings; readonly clock: Clock; readonly logger: Logger },
): Promise<TelnetServer | undefined> {
  const { settings, clock, logger } = parts;
  const { host, port } = settings.telnet;
  if (port === 0) return undefined;
  try {
    const server = await listenTelnet({ host, port }, { ingest, clock, logger });
    if (!isLoopback(host)) {
      logger.warn(
        { host },
        'the telnet interface listens beyond this machine and asks nobody for a token',
      );
    }
    logger.info({ host, port: server.port }, 'the telnet interface listens');
    return server;
  } catch (error) {
    logger.warn(
      { host, port, error: messageOf(error) },
      'the telnet interface is off: set TIDEMARK_TELNET_PORT to a free port, or to 0',
    );
    return undefined;
  }
}
