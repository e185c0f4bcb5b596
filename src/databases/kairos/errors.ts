/** What went wrong in Cassandra, as one of the three families: the code and the cure are what an operator sees. */
import {
  FatalError,
  messageOf,
  PoisonError,
  RetriableError,
  TidemarkError,
} from '../../model/index.ts';
import { driver } from './driver.ts';

/** The statement is refused for the values bound to it: the same values will be refused again. */
export function isRefusal(error: unknown): boolean {
  const { errors, types } = driver();
  const codes = types.responseErrorCodes;
  // The driver can't write down a part of a key of 64 KiB and more.
  if (error instanceof RangeError && 'code' in error) return error.code === 'ERR_OUT_OF_RANGE';
  if (!(error instanceof errors.ResponseError)) return false;
  if (error.code === codes.invalid) return !isAboutSchema(error);
  // Cassandra 4.1 stumbles over key parts of 32 KiB and more instead of refusing them.
  return error.code === codes.serverError && error.message.includes('IllegalArgumentException');
}

/** The server does not take this CQL, or this option of it. */
export function isUnsupported(error: unknown): boolean {
  const { errors, types } = driver();
  const { invalid, syntaxError, configError } = types.responseErrorCodes;
  return (
    error instanceof errors.ResponseError &&
    [invalid, syntaxError, configError].includes(error.code)
  );
}

export function isSyntaxError(error: unknown): boolean {
  const { errors, types } = driver();
  return (
    error instanceof errors.ResponseError && error.code === types.responseErrorCodes.syntaxError
  );
}

const isAboutSchema = (error: Error): boolean =>
  /does not exist|unconfigured|undefined column|unknown identifier/i.test(error.message);

/** Of one statement: what is refused for its values can never succeed, and is nobody's setting. */
export function statementError(error: unknown, doing: string): TidemarkError {
  if (!isRefusal(error)) return cassandraError(error, doing);
  const message = `${doing}: Cassandra takes no such values: ${messageOf(error)}`;
  return new PoisonError(message, { code: 'SINK_REJECTED', cause: error });
}

/** Wraps anything that the driver throws; errors of ours pass as they are. */
export function cassandraError(error: unknown, doing: string): TidemarkError {
  if (error instanceof TidemarkError) return error;
  const { errors, types } = driver();
  const codes = types.responseErrorCodes;
  const reason = rootOf(error);
  const message = `${doing}: ${messageOf(reason)}`;
  if (reason instanceof errors.AuthenticationError) return unauthorized(message, error);
  if (reason instanceof errors.ArgumentError) return misconfigured(message, error);
  if (reason instanceof errors.ResponseError) {
    switch (reason.code) {
      case codes.badCredentials:
      case codes.unauthorized:
        return unauthorized(message, error);
      case codes.syntaxError:
      case codes.invalid:
      case codes.configError:
        return misconfigured(message, error);
      case codes.overloaded:
      case codes.isBootstrapping:
        return new RetriableError(`${message}; Cassandra is overloaded`, {
          code: 'SINK_OVERLOADED',
          cause: error,
        });
      case codes.serverError:
      case codes.writeFailure:
      case codes.readFailure:
        return new RetriableError(`${message}; see Cassandra's own log`, {
          code: 'SINK_FAILED',
          cause: error,
        });
      case codes.writeTimeout:
      case codes.readTimeout:
        return new RetriableError(`${message}; Cassandra was too slow`, {
          code: 'SINK_TIMEOUT',
          cause: error,
        });
    }
  }
  if (reason instanceof errors.OperationTimedOutError) {
    return new RetriableError(message, { code: 'SINK_TIMEOUT', cause: error });
  }
  if (reason instanceof errors.BusyConnectionError) {
    return new RetriableError(message, { code: 'SINK_OVERLOADED', cause: error });
  }
  return new RetriableError(`${message}; is Cassandra up, and CASSANDRA_HOSTS right?`, {
    code: 'SINK_UNREACHABLE',
    cause: error,
  });
}

/** "No host available" only says that all failed; the first host's own error says why. */
function rootOf(error: unknown): unknown {
  const { errors } = driver();
  if (!(error instanceof errors.NoHostAvailableError)) return error;
  const inner = Object.values(error.innerErrors ?? {}) as unknown[];
  return inner.find((each) => each instanceof errors.AuthenticationError) ?? inner[0] ?? error;
}

const unauthorized = (message: string, cause: unknown): FatalError =>
  new FatalError(`${message}; check CASSANDRA_USERNAME, CASSANDRA_PASSWORD and their rights`, {
    code: 'SINK_UNAUTHORIZED',
    cause,
  });

const misconfigured = (message: string, cause: unknown): FatalError =>
  new FatalError(
    `${message}; run "tidemark setup", and check CASSANDRA_KEYSPACE and CASSANDRA_DC`,
    { code: 'SINK_MISCONFIGURED', cause },
  );
