/**
 * The properties that an aggregator or a group-by takes, by their names in a query, each with the reader of its type.
 * Unknown ones are refused, as are values of another type.
 */
import { QueryFailed, QueryRefused } from '../errors.ts';
import {
  isArray,
  isObject,
  type JsonObject,
  type JsonValue,
  membersOf,
  stringOf,
  typedBoolean,
  typedDouble,
  typedInt,
  typedLong,
  typedString,
  unexpected,
} from '../json/json-value.ts';
import { type TimeSpan, timeUnitOf, timeUnits } from '../time/time-unit.ts';
import { type Zone, zoneOf } from '../time/zone.ts';
import { zoneIds } from '../time/zone-ids.ts';
import { ContextualFault, violationText, withinGson } from './faults.ts';

export interface Property<T> {
  /** The value; null for what Java's reader makes null of. */
  read(json: JsonValue): T | null;
  /** Constraints that the value itself violates, as path and message. */
  violations?(value: T): readonly (readonly [path: string, message: string])[];
}

export type Properties = Readonly<Record<string, Property<unknown>>>;

/** What a query gave. */
export type Given<P extends Properties> = {
  -readonly [K in keyof P]?: P[K] extends Property<infer T> ? T : never;
};

/** Some of a query's objects: what KairosDB calls them, and the Java class that its messages name. */
export interface ObjectKind<P extends Properties> {
  readonly name: string;
  readonly javaClass: string;
  readonly properties: P;
}

/** Reads all properties of one object in their order. `given` is filled, so that later ones may replace earlier. */
export function readProperties<P extends Properties>(
  { name, javaClass, properties }: ObjectKind<P>,
  json: JsonObject,
  context: string,
): Given<P> {
  const given: Record<string, unknown> = {};
  for (const [key, value] of json) {
    if (key === 'name') continue;
    // Every Java object has a class, and Gson will not read one.
    if (key === 'class') throw new QueryFailed('Attempted to deserialize a java.lang.Class');
    const property = Object.hasOwn(properties, key) ? properties[key] : undefined;
    if (property === undefined) {
      throw new QueryRefused(
        `Property '${key}' was specified for object '${name}' but no matching setter was found on 'class ${javaClass}'`,
      );
    }
    given[key] = readProperty(property, value, `${context}.${key}`, context, key);
    // Object.keys keeps the order of first assignment; what came last must be last.
    const latest = given[key];
    delete given[key];
    given[key] = latest;
  }
  return given as Given<P>;
}

function readProperty<T>(
  property: Property<T>,
  json: JsonValue,
  path: string,
  context: string,
  key: string,
): T {
  let value: T | null;
  try {
    value = json === null ? null : withinGson(() => property.read(json));
  } catch (error) {
    if (error instanceof ContextualFault) throw error.within(context);
    if (error instanceof SyntaxError) throw new QueryRefused(`${path} ${error.message}`);
    throw error;
  }
  if (value === null) throw new QueryFailed('cannot validate null');
  const violations = property.violations?.(value) ?? [];
  if (violations.length > 0) {
    throw new QueryRefused(
      violations.map(([at, message]) => violationText(`${context}.${key}`, at, message)),
    );
  }
  return value;
}

export const boolean: Property<boolean> = { read: typedBoolean };
export const double: Property<number> = { read: typedDouble };
export const int: Property<number> = { read: typedInt };
export const long: Property<number> = { read: (json) => Number(typedLong(json)) };
export const text: Property<string> = { read: typedString };

/** Numbers stay numbers, everything else is what it is. */
export const anything: Property<JsonValue> = { read: (json) => json };

export const list: Property<readonly JsonValue[]> = {
  read(json) {
    if (json === null || !isArray(json)) throw unexpected('BEGIN_ARRAY', json);
    return json;
  },
};

export const members: Property<JsonObject> = { read: membersOf };

/** Lower case only; another word is null. Gson takes no truth value for an enum's word. */
export const lowerCaseWord = <W extends string>(words: readonly W[]): Property<W> => ({
  read(json) {
    if (typeof json === 'boolean') throw unexpected('STRING', json);
    return words.find((word) => word === typedString(json)) ?? null;
  },
});

/** In any case. KairosDB says "trim type" of every one of them. */
export const anyCaseWord = <W extends string>(words: readonly W[]): Property<W> => ({
  read(json) {
    const given = stringOf(json);
    const found = words.find((word) => word === given.toLowerCase());
    if (found !== undefined) return found;
    const quoted = words.map((word) => `'${word}'`);
    const all = `${quoted.slice(0, -1).join(', ')} or ${quoted.at(-1)}`;
    throw new ContextualFault(given, `is not a valid trim type, must be ${all}.`);
  },
});

export const timeUnit: Property<TimeSpan['unit']> = {
  read(json) {
    if (json === null) return null;
    const given = stringOf(json);
    const unit = timeUnitOf(given);
    if (unit !== undefined) return unit;
    throw new ContextualFault(
      given,
      `is not a valid time unit, must be one of ${timeUnits.join(',')}`,
    );
  },
};

export const timeZone: Property<Zone> = {
  read(json) {
    const given = stringOf(json);
    const zone = zoneOf(given === '' ? 'UTC' : given);
    if (zone !== undefined) return zone;
    throw new ContextualFault(
      given,
      `is not a valid time zone, must be one of [${zoneIds.join(', ')}]`,
    );
  },
};

/** `{"value": 5, "unit": "minutes"}`; an absent value is 0. Other keys are ignored. */
export const timeSpan: Property<TimeSpan> = {
  read(json) {
    if (json === null || !isObject(json)) throw unexpected('BEGIN_OBJECT', json);
    let value = 0;
    let unit: TimeSpan['unit'] | null = null;
    for (const [key, member] of json) {
      if (key === 'value' && member !== null) value = Number(typedLong(member));
      if (key === 'unit') unit = timeUnit.read(member);
    }
    // Its absence is a violation, found below.
    return { value, unit: unit as TimeSpan['unit'] };
  },
  violations({ value, unit }) {
    const found: (readonly [string, string])[] = [];
    if (value < 0) found.push(['value', 'must be greater than or equal to 0']);
    if (unit === null) found.push(['unit', 'may not be null']);
    return found;
  },
};
