/**
 * Compiles a route's schemas when a request first needs them: all routes' together cost a start a quarter of a
 * second, and most are never asked; the compiler itself is loaded by the first (0056). A wrong schema shows at the
 * first request, so a test compiles them all.
 */
import { createRequire } from 'node:module';
import type { FastifyServerOptions } from 'fastify';

type CompilersFactory = NonNullable<
  NonNullable<FastifyServerOptions['schemaController']>['compilersFactory']
>;
type BuildValidator = NonNullable<CompilersFactory['buildValidator']>;

/** What of Ajv's functions fastify uses. */
interface Validator {
  (value: unknown): unknown;
  errors?: unknown;
}

type Compile = (route: unknown) => Validator;
type Build = (...setup: readonly unknown[]) => Compile;

export interface Validators {
  /** For fastify's `schemaController.compilersFactory`. */
  readonly buildValidator: BuildValidator;
  /** Compiles what no request needed yet; throws at the first schema that is wrong. Returns how many. */
  compileAll(): number;
}

/** The one that fastify would load itself. */
function fastifysCompiler(): Build {
  const require = createRequire(import.meta.url);
  return (require('@fastify/ajv-compiler') as () => Build)();
}

export function compileWhenUsed(): Validators {
  const pending = new Set<() => unknown>();
  const build: Build = (...setup) => {
    let compile: Compile | undefined;
    return (route) => {
      let compiled: Validator | undefined;
      const now = () => {
        compile ??= fastifysCompiler()(...setup);
        compiled ??= compile(route);
        pending.delete(now);
        return compiled;
      };
      pending.add(now);
      // fastify reads the errors of the function that it called.
      const validate: Validator = (value) => {
        const validator = compiled ?? now();
        const isValid = validator(value);
        validate.errors = validator.errors ?? null;
        return isValid;
      };
      return validate;
    };
  };
  return {
    buildValidator: build as unknown as BuildValidator,
    compileAll() {
      const count = pending.size;
      for (const now of [...pending]) now();
      return count;
    },
  };
}
