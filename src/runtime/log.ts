/**
 * Structured logs. pino stays behind this door; secrets never reach it because configuration wraps them in
 * `Secret`, which serialises as `[secret]`, and the paths below are redacted besides.
 */
import { pino } from 'pino';

export interface Logger {
  debug(context: object, message: string): void;
  info(context: object, message: string): void;
  warn(context: object, message: string): void;
  error(context: object, message: string): void;
  child(context: object): Logger;
}

export function createLogger(options: { level?: string; name?: string } = {}): Logger {
  return pino(
    {
      name: options.name ?? 'tidemark',
      level: options.level ?? 'info',
      redact: {
        paths: [
          'token',
          'password',
          '*.token',
          '*.password',
          '*.authorization',
          'headers.authorization',
          'req.headers.authorization',
        ],
        censor: '[secret]',
      },
    },
    pino.destination({ fd: 2, sync: false }),
  ) as Logger;
}

/** For tests and for libraries' users who want none. */
export const silentLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child() {
    return silentLogger;
  },
};
