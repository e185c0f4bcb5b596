/**
 * Series known by what they are, not by the objects they come in: metric, tags and type are checked, sorted and
 * escaped once, and their rows' keys and what is known of their index rows stay with them.
 *
 * It is bounded in bytes: at the bound all is worked out anew, with the next point of each series, and the index rows of
 * those are written again. It is looked at only between two batches, so a batch may go beyond it by what it brings.
 */
import { CellRow } from './cell-batch.ts';
import { type IndexedTime, IndexMemory } from './index-memory.ts';
import { reasonAgainstSeries } from './point-check.ts';
import { encodeRowKeyParts, type RowKey } from './row-key.ts';
import { indexedTagsOf, type TagIndexConfig } from './tag-index.ts';
import { formatTags, parseTags, type TagList, tagListOf } from './tag-string.ts';

export const SERIES_BYTES_MAX = 16 * 1_024 ** 2;

/** About what the objects around a series' texts take, its entry in the maps among them. */
const SERIES_BYTES = 500;
const ROW_BYTES = 400;
const TEXT_BYTES = 100;
/** Series that come to the same number; with one more the others are let go. */
const CHAIN_MAX = 8;

export interface Series {
  readonly metric: string;
  readonly type: string;
  readonly tags: TagList;
  readonly tagString: string;
  readonly indexedTags: TagList;
  /** Of the last point: the next one is most likely of it too. */
  last: SeriesRow | undefined;
  /** When there are more than one. */
  rows: Map<number, SeriesRow> | undefined;
}

/** A row of a series: where its cells go, its index rows, and what is known of them. */
export class SeriesRow extends CellRow {
  readonly row: RowKey;
  readonly indexedTags: TagList;
  readonly memory = new IndexMemory();
  readonly time: IndexedTime;
  /** The number of the last batch that it was put in, and its place there. */
  batch = 0;
  at = 0;

  constructor(series: Series, rowTimeMs: number, time: IndexedTime) {
    const { metric, type, tags, tagString } = series;
    super(encodeRowKeyParts(metric, rowTimeMs, type, tagString));
    this.row = { metric, rowTimeMs, type, tags };
    this.indexedTags = series.indexedTags;
    this.time = time;
  }
}

/** A series under the names and values of tags as points bring them, in that order. */
interface Alias {
  readonly series: Series;
  readonly metric: string;
  readonly type: string;
  readonly texts: readonly string[];
  readonly next: Alias | undefined;
}

type Tags = Readonly<Record<string, string>>;

export class SeriesCache {
  readonly #tagIndex: TagIndexConfig | undefined;
  readonly #bytesMax: number;
  #bytes = 0;
  /** By type, metric and tag string as the log packs them. */
  readonly #byName = new Map<string, Series>();
  /** By a number made of `#texts`. */
  readonly #aliases = new Map<number, Alias>();
  /** A number for each text: the engine remembers the hash of a text, so finding it again is cheap. */
  readonly #texts = new Map<string, number>();
  readonly #times = new Map<string, IndexedTime>();

  constructor(tagIndex: TagIndexConfig | undefined, bytesMax = SERIES_BYTES_MAX) {
    this.#tagIndex = tagIndex;
    this.#bytesMax = bytesMax;
  }

  /** Between two batches: within one a row must stay the same object. */
  keepWithinBound(): void {
    if (this.#bytes <= this.#bytesMax) return;
    this.#bytes = 0;
    for (const map of [this.#byName, this.#aliases, this.#texts, this.#times]) map.clear();
  }

  /** The reason against the series when it can't be stored, as text; that is not remembered. */
  of(metric: string, tags: Tags, type: string): Series | string {
    const number = this.#numberOf(metric, tags, type);
    if (number === undefined) return reasonAgainstSeries(metric, tags) ?? 'its tags are no texts';
    const first = this.#aliases.get(number);
    let length = 0;
    for (let alias = first; alias !== undefined; alias = alias.next) {
      if (isAlias(alias, metric, tags, type)) return alias.series;
      length++;
    }
    const reason = reasonAgainstSeries(metric, tags);
    if (reason !== undefined) return reason;
    const series = this.#made(metric, tagListOf(tags), type);
    const texts = Object.entries(tags).flat();
    this.#aliases.set(number, {
      series,
      metric,
      type,
      texts,
      next: length < CHAIN_MAX ? first : undefined,
    });
    this.#bytes += TEXT_BYTES * (2 + texts.length);
    return series;
  }

  /** Of a block of packed points: the metric's bytes, then the tag string's, which were checked when they were packed. */
  packed(record: Buffer, start: number, metricEnd: number, end: number, type: string): Series {
    const name = nameOf(type, metricEnd - start, record.toString('latin1', start, end));
    const known = this.#byName.get(name);
    if (known !== undefined) return known;
    const tags = parseTags(record.toString('utf8', metricEnd, end));
    return this.#keep(name, record.toString('utf8', start, metricEnd), tags, type);
  }

  rowOf(series: Series, rowTimeMs: number): SeriesRow {
    const { last } = series;
    if (last !== undefined && last.row.rowTimeMs === rowTimeMs) return last;
    let row = series.rows?.get(rowTimeMs);
    if (row === undefined) {
      row = new SeriesRow(series, rowTimeMs, this.#timeOf(series.metric, rowTimeMs));
      this.#bytes += ROW_BYTES + row.key.length;
      if (last !== undefined) {
        series.rows ??= new Map([[last.row.rowTimeMs, last]]);
        series.rows.set(rowTimeMs, row);
      }
    }
    series.last = row;
    return row;
  }

  #made(metric: string, tags: TagList, type: string): Series {
    const bytes = Buffer.from(metric);
    const text = Buffer.concat([bytes, Buffer.from(formatTags(tags))]);
    const name = nameOf(type, bytes.length, text.toString('latin1'));
    return this.#byName.get(name) ?? this.#keep(name, metric, tags, type);
  }

  #keep(name: string, metric: string, tags: TagList, type: string): Series {
    const series: Series = {
      metric,
      type,
      tags,
      tagString: formatTags(tags),
      indexedTags: indexedTagsOf(this.#tagIndex, metric, tags),
      last: undefined,
      rows: undefined,
    };
    this.#byName.set(name, series);
    // Its name, its tag string and its tags.
    this.#bytes += SERIES_BYTES + 3 * name.length;
    return series;
  }

  #timeOf(metric: string, rowTimeMs: number): IndexedTime {
    const name = `${metric}\0${rowTimeMs}`;
    let time = this.#times.get(name);
    if (time === undefined) {
      time = { metric, rowTimeMs, memory: new IndexMemory() };
      this.#times.set(name, time);
      this.#bytes += ROW_BYTES + name.length;
    }
    return time;
  }

  /** undefined when a tag is no text. */
  #numberOf(metric: string, tags: Tags, type: string): number | undefined {
    let number = mixed(this.#textNumber(type), this.#textNumber(metric));
    for (const name in tags) {
      if (!Object.hasOwn(tags, name)) continue;
      const value = tags[name];
      if (typeof value !== 'string') return undefined;
      number = mixed(mixed(number, this.#textNumber(name)), this.#textNumber(value));
    }
    return number;
  }

  #textNumber(text: string): number {
    const known = this.#texts.get(text);
    if (known !== undefined) return known;
    const number = this.#texts.size;
    this.#texts.set(text, number);
    this.#bytes += TEXT_BYTES + text.length;
    return number;
  }
}

const nameOf = (type: string, metricBytes: number, text: string): string =>
  `${type} ${metricBytes} ${text}`;

/** Small enough to be a number without an object in V8. */
const mixed = (number: number, next: number): number =>
  Math.imul(Math.imul(number ^ (number >>> 15), 0x2c1b3c6d) ^ next, 0x297a2d39) & 0x3fffffff;

function isAlias(alias: Alias, metric: string, tags: Tags, type: string): boolean {
  if (alias.metric !== metric || alias.type !== type) return false;
  const { texts } = alias;
  let at = 0;
  for (const name in tags) {
    if (!Object.hasOwn(tags, name)) continue;
    if (texts[at++] !== name || texts[at++] !== tags[name]) return false;
  }
  return at === texts.length;
}
