/** What a caller from outside asks a job for, checked against its kind's schema. */
import type { Static, TSchema } from 'typebox';
import { FatalError } from '../model/index.ts';
import { complaintBy } from '../runtime/index.ts';

/** @throws FatalError FIELD_INVALID naming the first field that is wrong. */
export function acceptedAs<S extends TSchema>(schema: S, asked: unknown): Static<S> {
  const wrong = complaintBy(schema, asked);
  if (wrong === undefined) return asked as Static<S>;
  throw new FatalError(`input${wrong.instancePath.replaceAll('/', '.')}: ${wrong.message}`, {
    code: 'FIELD_INVALID',
  });
}
