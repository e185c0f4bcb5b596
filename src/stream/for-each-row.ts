/** The one loop over a batch's selection for code that need not be the fastest. */
import type { Batch } from './batch.ts';

/** Calls `each` with every row number in play, ascending. */
export function forEachRow(batch: Batch<unknown>, each: (i: number) => void): void {
  const { selected } = batch;
  if (selected === undefined) for (let i = 0; i < batch.length; i++) each(i);
  else for (let k = 0; k < selected.length; k++) each(selected[k] as number);
}
