/**
 * Reads a folder of the Numenta Anomaly Benchmark (github numenta/NAB): `<category>/<name>.csv` or `.csv.gz` with
 * columns `timestamp,value`, and `labels/combined_windows.json`.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';

export interface Series {
  /** `<category>/<name>.csv`. */
  readonly name: string;
  readonly category: string;
  /** Milliseconds, the file's own times read as UTC; in file order, with repeats and gaps. */
  readonly timestamps: Float64Array;
  readonly values: Float64Array;
  /** First and last row of each anomaly window, ascending. */
  readonly windows: readonly { readonly left: number; readonly right: number }[];
}

/** The columns of a CSV file by name, as text; reads `path` or `path.gz`. */
export function readColumns(path: string): Record<string, string[]> {
  const bytes = existsSync(path) ? readFileSync(path) : gunzipSync(readFileSync(`${path}.gz`));
  const [head = '', ...rows] = bytes.toString('utf8').trimEnd().split(/\r?\n/);
  const cells = rows.map((row) => row.split(','));
  return Object.fromEntries(
    head.split(',').map((name, at) => [name, cells.map((row) => row[at] ?? '')]),
  );
}

/** `2014-04-10 16:15:00` or with a fraction. */
const timeOf = (text: string): number => Date.parse(`${text.slice(0, 19).replace(' ', 'T')}Z`);

export function readCorpus(folder: string): Series[] {
  const windows = JSON.parse(
    readFileSync(join(folder, 'labels', 'combined_windows.json'), 'utf8'),
  ) as Record<string, [string, string][]>;
  return Object.entries(windows).map(([name, labelled]) => {
    const columns = readColumns(join(folder, name));
    const timestamps = Float64Array.from(columns.timestamp!, timeOf);
    return {
      name,
      category: name.split('/')[0]!,
      timestamps,
      values: Float64Array.from(columns.value!, Number),
      windows: labelled.map(([start, end]) => ({
        left: timestamps.findIndex((at) => at >= timeOf(start)),
        right: timestamps.findLastIndex((at) => at <= timeOf(end)),
      })),
    };
  });
}
