/**
 * Each of these lines was sent to KairosDB 1.3.0's port 4242 and its point asked for by HTTP: what is a point here was that
 * very point there (how long it lives was not waited for), and what is none was none. The words why are the original's where it has clear ones; its log says
 * `Malformed:  1e5`, `Over/underflow:  …`, `Index 3 out of bounds`, `Multiple entries with same key` for the others.
 */
import { expect, it } from 'vitest';
import type { DataPoint } from '../../../model/index.ts';
import type { Draft } from '../ingest.ts';
import { readLine } from './line.ts';

function read(line: string) {
  const points: DataPoint[] = [];
  const draft = {
    add: (point: DataPoint) => void points.push(point),
  } as unknown as Draft;
  const outcome = readLine(line, draft);
  return { outcome, point: points[0] };
}

it.each([
  ['put m 100 4 h=a', 100_000, 4n, { h: 'a' }],
  ['put m -5 4 h=a', -5_000, 4n, { h: 'a' }],
  ['put m 2999999999 4 h=a', 2_999_999_999_000, 4n, { h: 'a' }],
  ['put m 3000000000 4 h=a', 3_000_000_000, 4n, { h: 'a' }],
  ['putm m 100 -4 h=a', 100, -4n, { h: 'a' }],
  ['putm m 100 1.5e5 h=a', 100, 150_000, { h: 'a' }],
  ['putm m 100 0x1.8p1 h=a', 100, 3, { h: 'a' }],
  ['putm m 100 "1.5 " h=a', 100, 1.5, { h: 'a' }],
  ['putm m 100 .5f h=a', 100, 0.5, { h: 'a' }],
  ['puts m 100 "a b" h=a', 100, 'a b', { h: 'a' }],
  ['puts m 100 x h=a', 100, 'x', { h: 'a' }],
  ['  putm \t m  100\t4   h=a=b ', 100, 4n, { h: 'a' }],
  ['putm m 100 4', 100, 4n, { add: 'tag' }],
  ['putm m 100 4 "h=a b" c=d', 100, 4n, { h: 'a b', c: 'd' }],
  ['putm m 100 4 "h x"=a', 100, 4n, { 'h x"': 'a' }],
  ['puts m 100 "a b h=a ', 100, 'a b h=a ', { add: 'tag' }],
  ['puts m 100 " x', 100, 'x', { add: 'tag' }],
  ['putm m 100 4 h=a "', 100, 4n, { h: 'a' }],
])('a put is a point: %s', (line, timestampMs, value, tags) => {
  const { outcome, point } = read(line);
  expect(outcome).toBe('point');
  expect(point).toMatchObject({ metric: 'm', timestampMs, value, tags });
});

it('the tag kairos_opt.ttl is the life of the point, and no tag', () => {
  expect(read('put m 100 4 h=a kairos_opt.ttl=60').point).toMatchObject({
    ttlSeconds: 60,
    tags: { h: 'a' },
  });
});

it.each([
  ['putm m 100 1e5 h=a', /For input string: "1e5"/],
  ['putm m 100 +4 h=a', /For input string: "\+4"/],
  ['putm m 100 1.5x h=a', /For input string: "1.5x"/],
  ['putm m x 4 h=a', /timestamp/],
  ['putm m 100 9223372036854775808 h=a', /For input string/],
  ['putm m 100', /value/],
  ['putm m 100 4 h', /tag\[0\] must be in the format 'name=value'\./],
  ['putm m 100 4 a=b h=', /tag\[1\] must be in the format 'name=value'\./],
  ['putm m 100 4 h=a h=b', /named h as another/],
  ['PUT m 100 4 h=a', /Unknown command: 'PUT'/],
])('a line that is none says why: %s', (line, why) => {
  const { outcome, point } = read(line);
  expect(outcome).toMatchObject({ wrong: expect.stringMatching(why) });
  expect(point).toBeUndefined();
});

it('version is asked for, an empty line nothing', () => {
  expect(read('version').outcome).toBe('version');
  expect(read(' \t').outcome).toBe('nothing');
});
