/**
 * Stands for whatever `current` gives, at each use of it. A service that is built once for all tests of a file, as that
 * costs a tenth of a second, can so have an engine or a store behind it that is each test's own. What the service takes
 * hold of while it is built it keeps, but for the parts that are named: they stand in as well.
 */
export function standIn<T extends object>(current: () => T, parts: readonly (keyof T)[] = []): T {
  const held = new Map<PropertyKey, object>(
    parts.map((part) => [part, standIn(() => current()[part] as object)]),
  );
  return new Proxy({} as T, {
    get(_, name) {
      const part = held.get(name);
      if (part !== undefined) return part;
      const target = current();
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
