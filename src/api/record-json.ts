/**
 * A record as JSON text, straight from the batch's bytes. A value that is JSON goes in as the very text that
 * was stored, so that no number loses digits on its way out.
 */
import { isUtf8 } from 'node:buffer';
import type { RecordBatch } from '../broker/index.ts';
import { isJson } from '../model/index.ts';

/**
 * `{"partition","offset","key","timestamp","value"}` of record i, on one line. Bytes that are no UTF-8 are
 * base64, marked by `"encoding":"base64"` (value) or `"keyEncoding":"base64"` (key); `raw` makes all bytes so.
 */
export function recordJson(batch: RecordBatch, i: number, raw = false): string {
  const [ofKey, ofValue] = raw ? [rawJson, rawJson] : [textJson, valueJson];
  const key = ofKey(batch.bytes, batch.keyStart[i]!, batch.keyEnd[i]!);
  const value = ofValue(batch.bytes, batch.valueStart[i]!, batch.valueEnd[i]!);
  return (
    `{"partition":${batch.partition},"offset":${batch.offsets[i]},` +
    `"key":${key.json}${key.base64 ? ',"keyEncoding":"base64"' : ''},` +
    `"timestamp":${batch.timestamps[i]},` +
    `"value":${value.json}${value.base64 ? ',"encoding":"base64"' : ''}}`
  );
}

interface Rendered {
  readonly json: string;
  readonly base64: boolean;
}

function rawJson(bytes: Buffer, start: number, end: number): Rendered {
  if (start === -1) return { json: 'null', base64: false };
  return { json: `"${bytes.toString('base64', start, end)}"`, base64: true };
}

function textJson(bytes: Buffer, start: number, end: number): Rendered {
  if (start === -1) return { json: 'null', base64: false };
  const slice = bytes.subarray(start, end);
  if (!isUtf8(slice)) return { json: `"${slice.toString('base64')}"`, base64: true };
  return { json: JSON.stringify(slice.toString('utf8')), base64: false };
}

function valueJson(bytes: Buffer, start: number, end: number): Rendered {
  if (start === -1) return { json: 'null', base64: false };
  const slice = bytes.subarray(start, end);
  if (!isUtf8(slice)) return { json: `"${slice.toString('base64')}"`, base64: true };
  const text = slice.toString('utf8');
  if (!isJson(text)) return { json: JSON.stringify(text), base64: false };
  // Inside JSON a raw line break can only be white space between tokens.
  return { json: /[\r\n]/.test(text) ? text.replace(/[\r\n]+/g, ' ') : text, base64: false };
}
