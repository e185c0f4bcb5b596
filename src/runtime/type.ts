/**
 * Schemas of what comes from outside, for the compiler TypeBox's own. They are made without it: its 537 modules are 16
 * MiB of a process that only declares schemas (0056). The first value that is checked by one here loads what checks.
 */
import { createRequire } from 'node:module';
import type { Type as TypeBox } from 'typebox';
import type { Errors } from 'typebox/schema';

/** Of a property that may be absent: TypeBox's own mark, which no copy by its keys and no JSON shows. */
const OPTIONAL = '~optional';

type Schema = Readonly<Record<string, unknown>>;

const isRequired = (schema: Schema): boolean => !(OPTIONAL in schema);

/** A schema of one JSON type. */
const of =
  (type: string) =>
  (options?: Schema): Schema => ({ type, ...options });

const makers = {
  Array: (items: Schema, options?: Schema): Schema => ({ type: 'array', items, ...options }),
  Boolean: of('boolean'),
  Integer: of('integer'),
  Literal: (value: string | number | boolean, options?: Schema): Schema => ({
    type: typeof value,
    const: value,
    ...options,
  }),
  Number: of('number'),
  Object(properties: Readonly<Record<string, Schema>>, options?: Schema): Schema {
    const required = Object.keys(properties).filter((name) => isRequired(properties[name]!));
    return {
      type: 'object',
      ...(required.length > 0 ? { required } : {}),
      properties,
      ...options,
    };
  },
  Optional: (schema: Schema): Schema =>
    Object.defineProperty({ ...schema }, OPTIONAL, { value: true }),
  /** Names are any texts. */
  Record: (_names: Schema, value: Schema, options?: Schema): Schema => ({
    type: 'object',
    patternProperties: { '^.*$': value },
    ...options,
  }),
  String: of('string'),
  Union: (anyOf: readonly Schema[], options?: Schema): Schema => ({ anyOf, ...options }),
  Unknown: (options?: Schema): Schema => ({ ...options }),
  Unsafe: (schema: Schema): Schema => ({ ...schema }),
};

/** Those of TypeBox's that are in use. */
export const Type = makers as unknown as Pick<typeof TypeBox, keyof typeof makers>;

export interface SchemaComplaint {
  /** `/name/0`; empty for the value itself. */
  readonly instancePath: string;
  readonly message: string;
}

/** The first thing that is wrong with a value; undefined when nothing is. */
export function complaintBy(schema: object, value: unknown): SchemaComplaint | undefined {
  const require = createRequire(import.meta.url);
  const typebox = require('typebox/schema') as { readonly Errors: typeof Errors };
  const [, [first]] = typebox.Errors(schema, value);
  return first;
}
