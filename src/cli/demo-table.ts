/** The demo's picture of live votes as lines of text: pure, never wider than the terminal. */
import type { LiveEntry, LiveWindow } from '../api/index.ts';

export interface DemoView {
  readonly url: string | undefined;
  /** Records of the recording: stored so far, and all. */
  readonly published: number;
  readonly total: number;
  /** Records that topologies have yet to read. */
  readonly lag: number;
  readonly networks: readonly LiveEntry[];
  /** As they are to be shown, first one first. */
  readonly validators: readonly LiveEntry[];
}

export interface DemoStyle {
  /** Characters; lines are cut to it, and columns that do not fit are left out from the right. */
  readonly width: number;
  /** Rows of validators. */
  readonly rowsMax: number;
  /** ANSI colours: head bold, latencies over 5 slots (alert V10) red. */
  readonly colour: boolean;
}

const LATENCY_ALERT_SLOTS = 5;
/** Base58 pubkeys are told apart by their beginning, as InfluxDB's tag does [V2]. */
const ID_CHARS = 8;
const GAP = '  ';

interface Column {
  readonly title: string;
  readonly cell: (entry: LiveEntry, window: LiveWindow | null) => string;
  readonly isLatency?: boolean;
}

const slots = (value: number | null | undefined): string =>
  value === null || value === undefined || !Number.isFinite(value) ? '-' : value.toFixed(2);

const columns: readonly Column[] = [
  { title: 'id', cell: ({ id }) => (id.length > 32 ? id.slice(0, ID_CHARS) : id.slice(0, 32)) },
  { title: 'votes', cell: (_, window) => String(window?.count ?? 0) },
  { title: 'mean', cell: (_, window) => slots(window?.mean), isLatency: true },
  { title: 'p50', cell: (_, window) => slots(window?.p50), isLatency: true },
  { title: 'p95', cell: (_, window) => slots(window?.p95), isLatency: true },
  { title: 'p99', cell: (_, window) => slots(window?.p99), isLatency: true },
  { title: 'average', cell: ({ movingAverage }) => slots(movingAverage), isLatency: true },
  { title: 'last slot', cell: ({ lastSlot }) => (lastSlot === null ? '-' : String(lastSlot)) },
  { title: 'window', cell: (_, window) => (window === null ? '-' : clockSpan(window)) },
  {
    title: 'state',
    cell: (_, window) => (window === null ? '-' : window.final ? 'final' : 'open'),
  },
];

/** The whole picture; the last line has no line break. */
export function renderDemo(view: DemoView, style: DemoStyle): string[] {
  const share = view.total === 0 ? 100 : Math.floor((100 * view.published) / view.total);
  const head = [
    ...(view.url === undefined ? [] : [view.url]),
    `${view.published} of ${view.total} recorded votes published (${share}%), ${view.lag} to be read`,
  ].map((line) => line.slice(0, style.width));
  return [
    ...head,
    '',
    ...renderEntries('networks', view.networks, style),
    '',
    ...renderEntries(
      `validators, highest p99 first`,
      view.validators.slice(0, style.rowsMax),
      style,
    ),
  ];
}

function renderEntries(title: string, entries: readonly LiveEntry[], style: DemoStyle): string[] {
  const cells = entries.map((entry) => {
    const window = entry.open ?? entry.closed;
    return columns.map((column) => column.cell(entry, window));
  });
  const widths = columns.map((column, i) =>
    Math.max(column.title.length, ...cells.map((row) => row[i]!.length)),
  );
  const shown = fitting(widths, style.width);
  const line = (row: readonly string[]) =>
    row
      .slice(0, shown)
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)));
  const headLine = line(columns.map((column) => column.title))
    .join(GAP)
    .slice(0, style.width);
  const rows = cells.map((row) =>
    line(row)
      .map((cell, i) =>
        style.colour && isHigh(columns[i]!, cell) ? `\x1b[31m${cell}\x1b[39m` : cell,
      )
      .join(GAP),
  );
  return [
    title.slice(0, style.width),
    style.colour ? `\x1b[1m${headLine}\x1b[22m` : headLine,
    ...(rows.length === 0
      ? ['none yet'.slice(0, style.width)]
      : shown === 1
        ? rows.map((row) => row.slice(0, style.width))
        : rows),
  ];
}

/** How many columns fit; at least the first, which is then cut. */
function fitting(widths: readonly number[], width: number): number {
  let used = widths[0]!;
  let shown = 1;
  while (shown < widths.length && used + GAP.length + widths[shown]! <= width) {
    used += GAP.length + widths[shown]!;
    shown++;
  }
  return shown;
}

const isHigh = (column: Column, cell: string): boolean =>
  column.isLatency === true && Number(cell) > LATENCY_ALERT_SLOTS;

/** `11:00–11:05` in UTC. */
const clockSpan = ({ window }: LiveWindow): string =>
  `${new Date(window.start).toISOString().slice(11, 16)}–${new Date(window.end).toISOString().slice(11, 16)}`;
