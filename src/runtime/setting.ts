/**
 * How one setting is declared: a schema that also says its unit, default, sentence and environment name, so that
 * reading, checking, printing and the manual all come from one place. To the compiler it is TypeBox's, and made
 * without it: every command declares all settings, and loading the library would be a third of its start (0047).
 */
import type { TObject, TOptional, TProperties, TUnsafe } from 'typebox';
import type { Secret } from './secret.ts';

/** Keywords a setting carries besides JSON Schema's. */
export interface SettingKeywords {
  /** One sentence for the manual. */
  readonly description: string;
  /** Environment variable; a secret can also be read from the file that `<name>_FILE` points to. */
  readonly environment?: string;
  /** `ms`, `bytes`, `records`…; absent for texts and flags. */
  readonly unit?: string;
}

type Limits = { readonly minimum?: number; readonly maximum?: number };

/** A schema whose values are of type T. */
const of = <T>(schema: object) => schema as TUnsafe<T>;
const optional = <T>(schema: object) => schema as TOptional<TUnsafe<T>>;

/** A text; without a default the setting may be absent. */
export const text = (keywords: SettingKeywords & { readonly default: string }) =>
  of<string>({ type: 'string', minLength: 1, ...keywords });
export const optionalText = (keywords: SettingKeywords) =>
  optional<string>({ type: 'string', minLength: 1, ...keywords });
/** A whole number. */
export const whole = (keywords: SettingKeywords & Limits & { readonly default: number }) =>
  of<number>({ type: 'integer', ...keywords });
export const flag = (keywords: SettingKeywords & { readonly default: boolean }) =>
  of<boolean>({ type: 'boolean', ...keywords });
/** One of a few words. */
export const choice = <const T extends string>(
  words: readonly T[],
  keywords: SettingKeywords & { readonly default: T },
) => of<T>({ type: 'string', enum: [...words], ...keywords });
export const optionalChoice = <const T extends string>(
  words: readonly T[],
  keywords: SettingKeywords,
) => optional<T>({ type: 'string', enum: [...words], ...keywords });
/** Texts; comma separated outside of the file. */
export const list = (keywords: SettingKeywords & { readonly default: readonly string[] }) =>
  of<readonly string[]>({
    type: 'array',
    items: { type: 'string', minLength: 1 },
    ...keywords,
  });
/** Some of a few words. */
export const choices = <const T extends string>(
  words: readonly T[],
  keywords: SettingKeywords & { readonly default: readonly T[] },
) => of<readonly T[]>({ type: 'array', items: { type: 'string', enum: [...words] }, ...keywords });
/** A text that never prints. */
export const optionalSecret = (keywords: SettingKeywords) =>
  optional<Secret>({ type: 'string', minLength: 1, secret: true, ...keywords });
/** Texts that never print; comma separated outside of the file. */
export const secrets = (keywords: SettingKeywords) =>
  of<readonly Secret[]>({
    type: 'array',
    items: { type: 'string', minLength: 1 },
    default: [],
    secret: true,
    ...keywords,
  });
/** A group of settings that belong together. */
export const section = <const P extends TProperties>(properties: P) =>
  ({ type: 'object', properties }) as object as TObject<P>;

/** A setting as the schema gives it: what reading, printing and the manual go by. */
export interface Setting {
  /** Dotted, as in the file: `kafka.sasl.mechanism`. */
  readonly path: string;
  readonly type: 'string' | 'integer' | 'boolean' | 'array';
  readonly description: string;
  readonly environment: string | undefined;
  readonly unit: string | undefined;
  readonly default: unknown;
  readonly secret: boolean;
  /** Allowed words, of the text or of each member of the list. */
  readonly words: readonly string[] | undefined;
  readonly minimum: number | undefined;
  readonly maximum: number | undefined;
}

interface Node {
  readonly type: Setting['type'] | 'object';
  readonly properties?: Readonly<Record<string, unknown>>;
  readonly description?: string;
  readonly environment?: string;
  readonly unit?: string;
  readonly default?: unknown;
  readonly secret?: boolean;
  readonly enum?: readonly string[];
  readonly items?: { readonly enum?: readonly string[] };
  readonly minimum?: number;
  readonly maximum?: number;
}

/** Every setting below a schema, in the order they were declared. */
export function settingsOf(schema: object, prefix = ''): Setting[] {
  const node = schema as Node;
  if (node.type !== 'object') {
    return [
      {
        path: prefix,
        type: node.type,
        description: node.description ?? '',
        environment: node.environment,
        unit: node.unit,
        default: node.default,
        secret: node.secret === true,
        words: node.enum ?? node.items?.enum,
        minimum: node.minimum,
        maximum: node.maximum,
      },
    ];
  }
  return Object.entries(node.properties ?? {}).flatMap(([key, child]) =>
    settingsOf(child as object, prefix === '' ? key : `${prefix}.${key}`),
  );
}
