/** Answers of servers to compare: values kept apart, garbage refused, addresses that give no password away. */
import { describe, expect, test } from 'vitest';
import { FatalError } from '../../model/index.ts';
import { answerOf, namesOf, readAnswer } from './answer.ts';
import { differenceJson, differencesOf, differenceText } from './differences.ts';
import { KairosServer } from './server.ts';

const WHERE = 'http://a/api/v1/metricnames';
const values = (texts: string) =>
  readAnswer(WHERE, `[${texts}]`) as (readonly [number, number | string])[];

test('what a KairosDB tells apart differs, one double written in two ways does not', () => {
  const series = (texts: string) => [{ name: 'host=a', values: values(texts) }];
  const found = [
    ...differencesOf(
      'm',
      series('[1,10000000],[2,1.0E10],[3,0],[4,-0],[5,9007199254740993],[6,2.5],[7,"2"],[8,2]'),
      series('[1,1.0E7],[2,1e10],[3,-0],[4,-0],[5,9007199254740993],[6,2.50],[7,2],[8,2.0]'),
    ),
  ];
  const time = (ms: number) => `m {host=a} 1970-01-01T00:00:00.00${ms}Z`;
  expect(found.map(differenceText)).toEqual([
    `${time(1)}: A 10000000, B 10000000.0`,
    `${time(3)}: A 0, B -0.0`,
    `${time(7)}: A "2", B 2`,
  ]);
  expect(found.map(differenceJson)[0]).toBe(
    '{"metric":"m","series":"host=a","timestampMs":1,"a":[10000000],"b":["10000000.0"]}',
  );
});

describe('an answer that is no KairosDB’s', () => {
  test.each([
    '{}',
    'null',
    '5',
    '{"results":5}',
    '{"results":["m",null]}',
    '{"queries":[5]}',
    '{"queries":[{"results":[{"tags":{},"values":[5]}]}]}',
    '{"queries":[{"results":[{"tags":{"a":"b"},"values":[]}]}]}',
  ])('%s is refused, with the address', (text) => {
    const json = readAnswer(WHERE, text);
    const refusal = { code: 'COMPARE_REFUSED', message: expect.stringContaining(WHERE) };
    for (const read of [namesOf, answerOf]) {
      expect(() => read(WHERE, json)).toThrow(expect.objectContaining(refusal));
    }
  });
});

describe('an address', () => {
  test.each([
    ['u:secret@host', '…@host is no address: write http'],
    ['ftp://u:secret@host', 'ftp://…@host is no address: write http'],
    ['http://u:secret@host:port', 'http://…@host:port is no address: write http'],
    ['http://u:secret%zz@host', 'http://…@host is no address: a % in'],
    ['localhost:8080', 'localhost:8080 is no address: write http'],
  ])('%s is refused, and its password not said', (address, said) => {
    const open = () => new KairosServer(address);
    expect(open).toThrow(FatalError);
    expect(open).toThrow(said);
  });
});
