/**
 * Compiles a route's schemas when a request first needs them: all routes' together cost a start a quarter of a
 * second, and most are never asked. A wrong schema shows at the first request, so a test compiles them all.
 */
import type { FastifyServerOptions } from 'fastify';

type OnCreate = NonNullable<NonNullable<FastifyServerOptions['ajv']>['onCreate']>;
type Ajv = Parameters<OnCreate>[0];
type Validator = ReturnType<Ajv['compile']>;

export interface Validators {
  /** What fastify calls with its validator of schemas. */
  readonly install: OnCreate;
  /** Compiles what no request needed yet; throws at the first schema that is wrong. Returns how many. */
  compileAll(): number;
}

export function compileWhenUsed(): Validators {
  const pending = new Set<() => unknown>();
  return {
    install(ajv) {
      const compile = ajv.compile.bind(ajv);
      ajv.compile = ((schema: Parameters<typeof compile>[0]) => {
        let compiled: Validator | undefined;
        const now = () => {
          compiled ??= compile(schema) as Validator;
          pending.delete(now);
          return compiled;
        };
        pending.add(now);
        // fastify reads the errors of the function that it called.
        const validate = ((value: unknown) => {
          const validator = compiled ?? now();
          const isValid = validator(value);
          validate.errors = validator.errors ?? null;
          return isValid;
        }) as Validator;
        return validate;
      }) as typeof ajv.compile;
    },
    compileAll() {
      const count = pending.size;
      for (const now of [...pending]) now();
      return count;
    },
  };
}
