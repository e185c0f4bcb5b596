/** Several aggregates over one window as one, each under a name. */
import type { Aggregate } from '../aggregate.ts';

type Parts<S> = { readonly [K in keyof S]: Aggregate<S[K]> };

/**
 * `combine({ readings: count(), celsius: summary('celsius') })` has the state `{ readings, celsius }`.
 *
 * State entry, per part in the order given: length u32 · the part's entry.
 */
export function combine<S extends object>(parts: Parts<S>): Aggregate<S> {
  const names = Object.keys(parts) as (keyof S & string)[];
  const stateOf = (part: <K extends keyof S & string>(name: K) => S[K]): S =>
    Object.fromEntries(names.map((name) => [name, part(name)])) as S;
  return {
    name: `combine(${names.map((name) => `${name}=${parts[name].name}`).join(', ')})`,
    create: () => stateOf((name) => parts[name].create()),
    adder: (batch) => {
      const adders = names.map((name) => ({ name, add: parts[name].adder(batch) }));
      return (state, i) => {
        for (const { name, add } of adders) add(state[name], i);
      };
    },
    merge: (into, from) => {
      for (const name of names) parts[name].merge(into[name], from[name]);
    },
    encode: (state) =>
      Buffer.concat(
        names.flatMap((name) => {
          const entry = parts[name].encode(state[name]);
          const length = Buffer.allocUnsafe(4);
          length.writeUInt32BE(entry.length, 0);
          return [length, entry];
        }),
      ),
    decode: (bytes) => {
      let at = 0;
      return stateOf((name) => {
        const start = at + 4;
        at = start + bytes.readUInt32BE(at);
        return parts[name].decode(bytes.subarray(start, at));
      });
    },
  };
}
