/** Packed points back as cells of rows: bytes are passed on, only names of rows that must be looked up become text. */
import { columnOf, encodeColumn, rowTimeOf } from '../column.ts';
import { RowGroup } from '../row-group.ts';
import { timeIdentity } from '../row-index.ts';
import { encodeRowKeyParts } from '../row-key.ts';
import type { RowSpec } from '../row-spec.ts';
import { indexedTagsOf, type TagIndexConfig } from '../tag-index.ts';
import { parseTags } from '../tag-string.ts';
import type { Prepared } from '../writer.ts';
import {
  HEAD_BYTES,
  invalid,
  type PackedBlock,
  POINTS,
  readBlock,
  typeNames,
  valueEnd,
} from './format.ts';

/** A series of this batch: its rows by row time. */
interface SeriesRows {
  readonly metric: string;
  readonly tagString: string;
  readonly byTime: Map<number, RowGroup>;
}

export class Unpacker {
  readonly #spec: RowSpec;
  readonly #tagIndex: TagIndexConfig | undefined;
  readonly #prepared: Prepared;
  readonly #series = new Map<string, SeriesRows>();

  constructor(spec: RowSpec, tagIndex: TagIndexConfig | undefined, prepared: Prepared) {
    this.#spec = spec;
    this.#tagIndex = tagIndex;
    this.#prepared = prepared;
  }

  /** Adds the points of a record; `index` is the record's place in the call. Throws PoisonError PACKED_INVALID half-way. */
  add(record: Buffer, index: number): void {
    if (record[0] !== POINTS || record.length < HEAD_BYTES) throw invalid(record, 0);
    for (let at = HEAD_BYTES; at < record.length; ) {
      at = this.#addBlock(record, readBlock(record, at), index);
    }
  }

  #addBlock(record: Buffer, block: PackedBlock, index: number): number {
    const { type, ttlSeconds, count } = block;
    const rows = this.#rowsOf(record, block);
    const { cells } = this.#prepared;
    let at = block.at;
    let rowEndMs = Number.NEGATIVE_INFINITY;
    let rowTimeMs = 0;
    let group: RowGroup | undefined;
    for (let i = 0; i < count; i++) {
      if (at + 8 >= record.length) throw invalid(record, at);
      const timestampMs = record.readDoubleLE(at);
      const start = at + 8;
      at = valueEnd(record, type, start);
      // Row times are simple above zero only.
      if (group === undefined || timestampMs < rowTimeMs || timestampMs >= rowEndMs) {
        rowTimeMs = rowTimeOf(this.#spec, timestampMs);
        rowEndMs = timestampMs < 0 ? rowTimeMs : rowTimeMs + this.#spec.rowModulusMs;
        group = this.#groupOf(rows, rowTimeMs, typeNames[type], ttlSeconds);
      }
      const column = columnOf(this.#spec, rowTimeMs, timestampMs);
      const cell = {
        index,
        identity: group.need.identity,
        key: group.key,
        column: encodeColumn(column),
        value: record.subarray(start, at),
        ttlSeconds,
      };
      group.put(column, cell, cells);
    }
    return at;
  }

  #rowsOf(record: Buffer, { metricStart, metricEnd, tagsEnd, type }: PackedBlock): SeriesRows {
    const key = `${type}${metricEnd - metricStart} ${record.toString('latin1', metricStart, tagsEnd)}`;
    let rows = this.#series.get(key);
    if (rows === undefined) {
      rows = {
        metric: record.toString('utf8', metricStart, metricEnd),
        tagString: record.toString('utf8', metricEnd, tagsEnd),
        byTime: new Map(),
      };
      this.#series.set(key, rows);
    }
    return rows;
  }

  #groupOf(
    { metric, tagString, byTime }: SeriesRows,
    rowTimeMs: number,
    type: string,
    ttlSeconds: number,
  ): RowGroup {
    let group = byTime.get(rowTimeMs);
    if (group === undefined) {
      const identity = `${rowTimeMs}\0${type}\0${metric}\0${tagString}`;
      const tags = parseTags(tagString);
      const row = { metric, rowTimeMs, type, tags };
      const indexedTags = indexedTagsOf(this.#tagIndex, metric, tags);
      group = new RowGroup(encodeRowKeyParts(metric, rowTimeMs, type, tagString), {
        row,
        identity,
        time: timeIdentity(row),
        indexedTags,
        ttlSeconds,
      });
      byTime.set(rowTimeMs, group);
      this.#prepared.groups.push(group);
    } else group.live(ttlSeconds);
    return group;
  }
}
