/**
 * Reads a field's cells as numbers, for the ready-made aggregates. What a cell counts as never depends on the
 * other records of its batch: a codec without a schema makes a text column as soon as one record has text there,
 * and the numbers in it must count as they would have among their own kind.
 */
import { type Batch, isTextColumn, type TextColumn } from '../batch.ts';
import { columnNamed } from '../key-index.ts';

/** The number of row i; NaN where the field is absent or holds no finite number. Throws when no row can have it. */
export function numberCells(batch: Batch<unknown>, field: string): (i: number) => number {
  const column = columnNamed(batch, field);
  if (isTextColumn(column)) return textCells(column);
  return (i) => {
    const value = column[i] as number;
    return Number.isFinite(value) ? value : Number.NaN;
  };
}

function textCells({ codes, dictionary }: TextColumn): (i: number) => number {
  const byCode = new Map<number, number>();
  return (i) => {
    const code = codes[i] as number;
    if (code < 0) return Number.NaN;
    let value = byCode.get(code);
    if (value === undefined) {
      value = numberIn(dictionary.text(code));
      byCode.set(code, value);
    }
    return value;
  };
}

/** As JSON writes numbers; anything else is none. */
function numberIn(text: string): number {
  if (!/^-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(text)) return Number.NaN;
  const value = Number(text);
  return Number.isFinite(value) ? value : Number.NaN;
}
