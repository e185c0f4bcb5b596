/** What a comparison of a replay with the stored records says: totals, and per series what differs and by how much. */

export interface FieldChange {
  /** Windows in which it differs. */
  readonly changed: number;
  /** Largest distance of two numbers; null for what is no number. */
  readonly maxAbs: number | null;
  /** The same as a share of what is stored; null where that is 0 or no number. */
  readonly maxRel: number | null;
}

export interface WindowChange {
  /** ms */
  readonly start: number;
  readonly what: 'changed' | 'only in new' | 'only in stored';
  /** Names of the fields that differ, with both values; empty when it was not kept. */
  readonly fields: Readonly<Record<string, { readonly stored: unknown; readonly new: unknown }>>;
}

export interface SeriesDiff {
  readonly topic: string;
  readonly key: string;
  readonly equal: number;
  readonly changed: number;
  readonly onlyInNew: number;
  readonly onlyInStored: number;
  /** Windows where nothing but the moving average differs, because of a window before that differs itself or was not read. */
  readonly averagesOnly: number;
  readonly fields: Readonly<Record<string, FieldChange>>;
  /** The first of those that differ; of all series together at most WINDOWS_MAX. */
  readonly windows: readonly WindowChange[];
}

export interface DiffReport {
  readonly compared: number;
  /** changed + onlyInNew + onlyInStored. */
  readonly different: number;
  readonly equal: number;
  readonly changed: number;
  readonly onlyInNew: number;
  readonly onlyInStored: number;
  readonly averagesOnly: number;
  /** Series compared, and how many of them are equal throughout. */
  readonly seriesCompared: number;
  readonly seriesEqual: number;
  /** Those that differ; the first SERIES_MAX. */
  readonly series: readonly SeriesDiff[];
  /** The first differences, as text. */
  readonly examples: readonly string[];
}

/** A record's place; without a window it has no start. */
interface Place {
  readonly topic: string;
  readonly key: string;
  readonly start?: number;
  readonly end?: number;
}

const EXAMPLES_MAX = 20;
const SERIES_MAX = 1_000;
const WINDOWS_MAX = 5_000;
/** A moving average tells of the eleven windows before as well. */
const AVERAGED_BEFORE = 11;
const AVERAGE = 'movingAverage';

type Writable<T> = { -readonly [K in keyof T]: T[K] };

interface Totals extends Writable<Omit<SeriesDiff, 'fields' | 'windows'>> {
  readonly fields: Record<string, Writable<FieldChange>>;
  readonly windows: WindowChange[];
  /** Start of the newest window that differs itself. */
  newest: number;
}

/** Windows of a series must come in the order of their starts. */
export class DiffSummary {
  readonly #series = new Map<string, Totals>();
  readonly #examples: string[] = [];
  #windows = 0;

  equal(place: Place): void {
    this.#of(place).equal++;
  }

  only(side: 'new' | 'stored', place: Place): void {
    const series = this.#of(place);
    series[side === 'new' ? 'onlyInNew' : 'onlyInStored']++;
    this.#note(series, place, { what: `only in ${side}`, fields: {} });
  }

  /** Without fields: they were too many to keep. Before `wholeFrom` nothing was read that an average could count. */
  changed(
    place: Place,
    fields: WindowChange['fields'] = {},
    wholeFrom = Number.NEGATIVE_INFINITY,
  ): void {
    const series = this.#of(place);
    const names = Object.keys(fields);
    const { start = 0, end = 0 } = place;
    const isEcho =
      names.length === 1 &&
      names[0] === AVERAGE &&
      Math.max(series.newest, wholeFrom) >= start - AVERAGED_BEFORE * (end - start);
    if (isEcho) {
      series.averagesOnly++;
      return;
    }
    series.changed++;
    for (const [name, both] of Object.entries(fields)) {
      const field = series.fields[name] ?? { changed: 0, maxAbs: null, maxRel: null };
      series.fields[name] = field;
      addTo(field, both);
    }
    this.#note(series, place, { what: 'changed', fields });
  }

  report(): DiffReport {
    const all = [...this.#series.values()];
    const sum = (name: 'equal' | 'changed' | 'onlyInNew' | 'onlyInStored' | 'averagesOnly') =>
      all.reduce((total, series) => total + series[name], 0);
    const differing = all.filter(({ changed, onlyInNew, onlyInStored }) =>
      [changed, onlyInNew, onlyInStored].some((count) => count > 0),
    );
    const totals = {
      equal: sum('equal'),
      changed: sum('changed'),
      onlyInNew: sum('onlyInNew'),
      onlyInStored: sum('onlyInStored'),
      averagesOnly: sum('averagesOnly'),
    };
    const different = totals.changed + totals.onlyInNew + totals.onlyInStored;
    return {
      compared: different + totals.equal + totals.averagesOnly,
      different,
      ...totals,
      seriesCompared: all.length,
      seriesEqual: all.length - differing.length,
      series: differing.slice(0, SERIES_MAX).map(({ newest: _, ...series }) => series),
      examples: this.#examples,
    };
  }

  #of({ topic, key }: Place): Totals {
    const identity = `${topic}\u001f${key}`;
    let series = this.#series.get(identity);
    if (series === undefined) {
      series = {
        topic,
        key,
        equal: 0,
        changed: 0,
        onlyInNew: 0,
        onlyInStored: 0,
        averagesOnly: 0,
        fields: {},
        windows: [],
        newest: Number.NEGATIVE_INFINITY,
      };
      this.#series.set(identity, series);
    }
    return series;
  }

  #note(series: Totals, { topic, key, start }: Place, change: Omit<WindowChange, 'start'>): void {
    if (start !== undefined) {
      series.newest = start;
      if (this.#windows++ < WINDOWS_MAX) series.windows.push({ start, ...change });
    }
    if (this.#examples.length >= EXAMPLES_MAX) return;
    const when = start === undefined ? '' : ` ${new Date(start).toISOString()}`;
    this.#examples.push(`${topic} ${key}${when}: ${change.what}`);
  }
}

function addTo(field: Writable<FieldChange>, both: { stored: unknown; new: unknown }): void {
  field.changed++;
  const { stored, new: derived } = both;
  if (typeof stored !== 'number' || typeof derived !== 'number') return;
  const distance = Math.abs(derived - stored);
  field.maxAbs = Math.max(field.maxAbs ?? 0, distance);
  if (stored !== 0) field.maxRel = Math.max(field.maxRel ?? 0, distance / Math.abs(stored));
}

/** Fields in which two records differ, nested ones as `lineage.late`; the revision is none. */
export function fieldsOf(stored: string, derived: string): WindowChange['fields'] {
  const [before, after] = [flat(JSON.parse(stored)), flat(JSON.parse(derived))];
  const fields: Record<string, { stored: unknown; new: unknown }> = {};
  for (const name of new Set([...before.keys(), ...after.keys()])) {
    const both = { stored: before.get(name) ?? null, new: after.get(name) ?? null };
    if (name !== 'revision' && JSON.stringify(both.stored) !== JSON.stringify(both.new)) {
      fields[name] = both;
    }
  }
  return fields;
}

function flat(row: object, prefix = '', into = new Map<string, unknown>()): Map<string, unknown> {
  for (const [name, value] of Object.entries(row)) {
    const isInner = typeof value === 'object' && value !== null && !Array.isArray(value);
    if (isInner) flat(value as object, `${prefix}${name}.`, into);
    else into.set(prefix + name, value);
  }
  return into;
}

const SERIES_SHOWN = 20;

/** Per series that differs one line; then how many more there are. */
export function diffLines(report: DiffReport): readonly string[] {
  const lines = report.series.slice(0, SERIES_SHOWN).map((series) => {
    const total = series.equal + series.averagesOnly + differing(series);
    const counts = [
      series.changed > 0 ? `${series.changed} of ${total} changed` : '',
      series.onlyInNew > 0 ? `${series.onlyInNew} only in new` : '',
      series.onlyInStored > 0 ? `${series.onlyInStored} only in stored` : '',
    ];
    const fields = Object.entries(series.fields).flatMap(([name, { maxAbs, maxRel }]) => {
      if (maxAbs === null) return [];
      const share = maxRel === null ? '' : ` (${Number((maxRel * 100).toPrecision(3))} %)`;
      return [`${name} by up to ${Number(maxAbs.toPrecision(6))}${share}`];
    });
    const first = series.windows[0];
    const since = first === undefined ? '' : `; first ${new Date(first.start).toISOString()}`;
    const what = [counts.filter(Boolean).join(', '), ...fields].join('; ');
    return `${series.topic} ${series.key}: ${what}${since}`;
  });
  const more = report.seriesCompared - report.seriesEqual - lines.length;
  if (more > 0) lines.push(`and ${more} more series; --json has them`);
  if (report.averagesOnly > 0) {
    lines.push(
      `${report.averagesOnly} more windows differ only in a moving average, which counts windows that differ or were not read`,
    );
  }
  return lines;
}

const differing = ({ changed, onlyInNew, onlyInStored }: SeriesDiff): number =>
  changed + onlyInNew + onlyInStored;
