/** What goes wrong while a query is read, before it is known where in the query that is. */
import { QueryFailed, QueryRefused } from '../errors.ts';

/** A value that its place in the query will be put before: `query.metric[0].aggregators[0].eons is not…`. */
export class ContextualFault extends Error {
  readonly subject: string;

  constructor(subject: string, message: string) {
    super(message);
    this.subject = subject;
  }

  within(context: string): QueryRefused {
    return violation(context, this.subject, this.message);
  }
}

/** As KairosDB words a violated constraint. */
export const violation = (context: string, path: string, message: string): QueryRefused =>
  new QueryRefused(violationText(context, path, message));

export const violationText = (context: string, path: string, message: string): string =>
  `${context === '' ? '' : `${context}.`}${path} ${message}`;

/** Gson turns IllegalStateException, which has no message here, into a syntax error. */
export function withinGson<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof QueryFailed && error.reason === null) {
      throw new QueryRefused('java.lang.IllegalStateException');
    }
    throw error;
  }
}
