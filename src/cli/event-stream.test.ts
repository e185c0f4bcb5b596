import { expect, test } from 'vitest';
import { readEvents, type ServerEvent, valueText } from './event-stream.ts';

async function eventsOf(...chunks: string[]): Promise<ServerEvent[]> {
  async function* bytes() {
    for (const chunk of chunks) yield Buffer.from(chunk, 'latin1');
  }
  const events: ServerEvent[] = [];
  for await (const event of readEvents(bytes())) events.push(event);
  return events;
}

test('events come whole however the bytes are cut, and ids stay until the next', async () => {
  const text =
    ': hello\nretry: 1\nid: a\n\nid: b\ndata: {"x":1}\n\ndata: 2\n\nevent: error\ndata: 3\n\n';
  const expected = [
    { type: 'message', id: 'a', data: '' },
    { type: 'message', id: 'b', data: '{"x":1}' },
    { type: 'message', id: 'b', data: '2' },
    { type: 'error', id: 'b', data: '3' },
  ];
  expect(await eventsOf(text)).toEqual(expected);
  expect(await eventsOf(...text)).toEqual(expected);
});

test('an event that was cut off is not given', async () => {
  expect(await eventsOf('id: a\ndata: 1\n\nid: b\ndata: 2\n')).toHaveLength(1);
});

test.each([
  [
    '{"partition":0,"offset":1,"key":null,"timestamp":2,"value":12345678901234567890}',
    '12345678901234567890',
  ],
  [
    '{"partition":0,"offset":1,"key":"a,\\"value\\":1","timestamp":2,"value":{"b":"}"}}',
    '{"b":"}"}',
  ],
  [
    '{"partition":0,"offset":1,"key":"k","timestamp":2,"value":"/w==","encoding":"base64"}',
    '"/w=="',
  ],
  [
    '{"partition":0,"offset":1,"key":"k","timestamp":2,"value":{"a":1,"encoding":"base64"}}',
    '{"a":1,"encoding":"base64"}',
  ],
  ['{"partition":0,"offset":1,"key":null,"timestamp":2,"value":null}', 'null'],
])('of %s the value is %s', (record, value) => {
  expect(valueText(record)).toBe(value);
});
