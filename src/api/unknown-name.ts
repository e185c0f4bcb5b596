/** The refusal of a name that nothing has, with the nearest that something has. */
import { nearest } from '../runtime/index.ts';
import { Refusal } from './errors.ts';

export function unknownName(
  code: 'UNKNOWN_TOPOLOGY' | 'UNKNOWN_SINK',
  noun: string,
  name: string,
  known: readonly string[],
): Refusal {
  const near = nearest(name, known);
  const hint = near === undefined ? 'none runs' : `did you mean ${near}?`;
  return new Refusal(code, `there is no ${noun} ${JSON.stringify(name)}; ${hint}`);
}
