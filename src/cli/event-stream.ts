/** Server-sent events out of a stream of bytes (HTML standard, section 9.2.6), as far as our feeds use them. */

export interface ServerEvent {
  /** `message` unless the server says otherwise. */
  readonly type: string;
  readonly id: string;
  readonly data: string;
}

/**
 * Events in order. One without data only moves the id on; it is yielded with empty data, so that the caller
 * can resume from it.
 */
export async function* readEvents(
  stream: AsyncIterable<Uint8Array>,
): AsyncGenerator<ServerEvent, void, undefined> {
  const decoder = new TextDecoder();
  let rest = '';
  let id = '';
  let type = 'message';
  let data: string[] = [];
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop()!;
    for (const line of lines) {
      if (line === '') {
        yield { type, id, data: data.join('\n') };
        type = 'message';
        data = [];
        continue;
      }
      const colon = line.indexOf(':');
      const field = colon === -1 ? line : line.slice(0, colon);
      const value = colon === -1 ? '' : line.slice(colon + 1).replace(/^ /, '');
      if (field === 'id') id = value;
      else if (field === 'event') type = value;
      else if (field === 'data') data.push(value);
    }
  }
}

/**
 * The text of `value` inside a record's JSON, untouched: parsing would lose the digits of large numbers. It is
 * the record's last field, but for the mark of base64; a quote inside a key is escaped, so that the first match
 * is the field itself.
 */
export function valueText(record: string): string {
  const field = ',"value":';
  const mark = ',"encoding":"base64"}';
  const start = record.indexOf(field) + field.length;
  const end = record.endsWith(mark) ? record.length - mark.length : record.length - 1;
  return record.slice(start, end);
}
