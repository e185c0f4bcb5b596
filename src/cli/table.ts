/** Rows as aligned columns: texts to the left, numbers to the right. */
export function renderTable(
  header: readonly string[],
  rows: readonly (readonly (string | number | null)[])[],
): string {
  const shown = [
    header,
    ...rows.map((row) => row.map((cell) => (cell === null ? '-' : `${cell}`))),
  ];
  const numeric = header.map((_, column) =>
    rows.every((row) => row[column] === null || typeof row[column] === 'number'),
  );
  const widths = header.map((_, column) => Math.max(...shown.map((row) => row[column]!.length)));
  return shown
    .map((row) =>
      row
        .map((cell, i) => (numeric[i] ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
        .join('  ')
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join('');
}

/** ms since the epoch as ISO 8601; `-` when there is none. */
export const timeText = (ms: number | null): string =>
  ms === null ? '-' : new Date(ms).toISOString();
