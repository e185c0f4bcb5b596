/** What a caller from outside asks a job for, checked against its kind's schema. */
import type { Static, TSchema } from 'typebox';
import { Errors } from 'typebox/schema';
import { FatalError } from '../model/index.ts';

/** @throws FatalError FIELD_INVALID naming the first field that is wrong. */
export function acceptedAs<S extends TSchema>(schema: S, asked: unknown): Static<S> {
  const [, [wrong]] = Errors(schema, asked);
  if (wrong === undefined) return asked as Static<S>;
  throw new FatalError(`input${wrong.instancePath.replaceAll('/', '.')}: ${wrong.message}`, {
    code: 'FIELD_INVALID',
  });
}
