import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { instantOf, offsetOfLocal, UTC, type Zone, zoneOf } from './zone.ts';

const at = (text: string) => Date.parse(`${text}Z`);
const zone = (id: string) => zoneOf(id) as Zone;

describe('names', () => {
  test.each(['UTC', 'EST', 'Europe/Berlin', 'US/Pacific', '+05:30', '-03', '+01:02:03.004'])(
    '%s is a zone',
    (id) => expect(zoneOf(id)?.id).toBe(id),
  );

  test.each(['europe/berlin', 'GMT+2', 'Mars/Base', '', '+25:00', '+5', 'PST'])(
    '%j is none',
    (id) => expect(zoneOf(id)).toBeUndefined(),
  );
});

test.each([
  ['EST', -5],
  ['MST', -7],
  ['HST', -10],
])('%s is %i hours from UTC at all times', (id, ahead) => {
  for (const year of [1880, 1918, 1943, 1967, 2024]) {
    expect(zone(id).offsetAt(Date.UTC(year, 6)), `${year}`).toBe(ahead * 3_600_000);
  }
});

test('offsets are those that Intl formats, whatever was asked before', () => {
  const ids = ['America/New_York', 'Australia/Lord_Howe', 'Africa/Casablanca', 'Asia/Kolkata'];
  const near = fc.integer({ min: Date.UTC(1_950, 0), max: Date.UTC(2_080, 0) });
  fc.assert(
    fc.property(fc.constantFrom(...ids), near, (id, ms) => {
      const local = new Intl.DateTimeFormat('sv', {
        timeZone: id,
        dateStyle: 'short',
        timeStyle: 'medium',
      }).format(ms);
      const second = Math.floor(ms / 1_000) * 1_000;
      expect(second + zone(id).offsetAt(ms)).toBe(Date.parse(`${local.replace(' ', 'T')}Z`));
    }),
    { numRuns: 300 },
  );
});

test('the millisecond of a change is found', () => {
  const berlin = zone('Europe/Berlin');
  const change = at('2024-03-31T01:00');
  expect(berlin.offsetAt(change - 1)).toBe(3_600_000);
  expect(berlin.offsetAt(change)).toBe(7_200_000);
  expect(berlin.changesWithin(change - 1, change)).toBe(true);
  expect(berlin.changesWithin(change, change + 1e9)).toBe(false);
  expect(berlin.changesWithin(change - 1e9, change - 1)).toBe(false);
  expect(UTC.changesWithin(0, 1e12)).toBe(false);
});

describe.each([
  ['Europe/Berlin', '2024-03-31T02:30', '2024-10-27T02:30', 3_600_000],
  ['America/New_York', '2024-03-10T02:30', '2024-11-03T01:30', -18_000_000],
])('%s', (id, inGap, twice, winterMs) => {
  const summer = at('2024-07-01T00:00');
  const winter = at('2024-01-01T00:00');

  test('a time that does not exist is later by the gap, from either side', () => {
    const expected = at(inGap) - winterMs;
    expect(instantOf(zone(id), at(inGap), winter)).toBe(expected);
    expect(instantOf(zone(id), at(inGap), summer)).toBe(expected);
    expect(at(inGap) - offsetOfLocal(zone(id), at(inGap))).toBe(expected);
  });

  test('of a time that comes twice the one with the known offset is taken', () => {
    expect(instantOf(zone(id), at(twice), winter)).toBe(at(twice) - winterMs);
    expect(instantOf(zone(id), at(twice), summer)).toBe(at(twice) - winterMs - 3_600_000);
    // A duration ends at the first of the two.
    expect(at(twice) - offsetOfLocal(zone(id), at(twice))).toBe(at(twice) - winterMs - 3_600_000);
  });
});
