/** A history in a CSV file with a head line, row by row: memory stays small however long it is. */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { FatalError, messageOf } from '../model/index.ts';

export interface SeriesRow {
  /** As in the file; empty where the file has no such column. */
  readonly timestamp: string;
  readonly valueText: string;
  readonly value: number;
  /** Counted from 1, the head being line 1. */
  readonly line: number;
}

/**
 * Finds the columns `value` and `timestamp` by the head line; others are passed over. `-` is `stdin`. Throws
 * CSV_INVALID with the line for a head without `value` and for a value that is no finite number; FILE_UNREADABLE.
 */
export async function* readSeries(file: string, stdin: Readable): AsyncGenerator<SeriesRow> {
  const input = file === '-' ? stdin : createReadStream(file);
  const lines = createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY });
  let columns: { readonly value: number; readonly timestamp: number } | undefined;
  let line = 0;
  try {
    for await (const text of lines) {
      line++;
      if (text.trim() === '') continue;
      const cells = text.split(',').map(unquoted);
      if (columns === undefined) {
        columns = columnsOf(cells);
        continue;
      }
      const valueText = cells[columns.value] ?? '';
      const value = Number(valueText);
      if (valueText === '' || !Number.isFinite(value)) {
        throw csvInvalid(line, `value '${valueText}' is no finite number`);
      }
      yield { timestamp: cells[columns.timestamp] ?? '', valueText, value, line };
    }
  } catch (error) {
    if (!(error instanceof Error && 'syscall' in error)) throw error;
    throw new FatalError(`can't read ${file}: ${messageOf(error)}`, { code: 'FILE_UNREADABLE' });
  } finally {
    lines.close();
  }
  if (columns === undefined) throw csvInvalid(1, 'there is no head line: expected timestamp,value');
}

function columnsOf(head: readonly string[]) {
  const names = head.map((name) => name.replace(/^\uFEFF/, '').toLowerCase());
  const value = names.indexOf('value');
  if (value === -1) {
    throw csvInvalid(
      1,
      `the head has no column 'value': expected timestamp,value, got ${head.join().slice(0, 80)}`,
    );
  }
  return { value, timestamp: names.indexOf('timestamp') };
}

const unquoted = (cell: string): string => cell.trim().replace(/^"(.*)"$/, '$1');

/**
 * Milliseconds since the epoch: a whole number, or ISO 8601 with `T` or a blank; without a zone it is UTC. Throws
 * CSV_INVALID for anything else.
 */
export function timeOfRow({ timestamp, line }: SeriesRow): number {
  if (/^-?\d{1,16}$/.test(timestamp)) return Number(timestamp);
  const hasZone = /(?:Z|[+-]\d\d:?\d\d)$/i.test(timestamp);
  const isDateOnly = /^\d{4}-\d\d-\d\d$/.test(timestamp);
  const iso = timestamp.replace(' ', 'T') + (hasZone || isDateOnly ? '' : 'Z');
  const time = /^\d{4}-\d\d-\d\d/.test(timestamp) ? Date.parse(iso) : Number.NaN;
  if (!Number.isNaN(time)) return time;
  throw csvInvalid(line, `timestamp '${timestamp}' is neither milliseconds nor ISO 8601`);
}

const csvInvalid = (line: number, what: string): FatalError =>
  new FatalError(`line ${line}: ${what}`, { code: 'CSV_INVALID', context: { line } });
