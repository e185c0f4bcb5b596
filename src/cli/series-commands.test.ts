import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../runtime/index.ts';
import { createDetector, detectorNames } from '../stats/index.ts';
import { runProgram } from './program.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tidemark-series-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

const file = (text: string) => {
  const path = join(directory, 'series.csv');
  writeFileSync(path, text);
  return path;
};
async function run(words: string[], stdin = '') {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const said = { out: '', err: '' };
  stdout.on('data', (chunk) => {
    said.out += chunk;
  });
  stderr.on('data', (chunk) => {
    said.err += chunk;
  });
  const terminal = {
    stdin: Readable.from([stdin]),
    stdout,
    stderr,
    environment: {},
    clock: systemClock,
    stopped: new AbortController().signal,
  };
  const code = await runProgram(words, { terminal });
  return { code, ...said };
}

describe('forecast', () => {
  const golden = (name: string) =>
    new URL(`../../test/golden/holt-winters/${name}`, import.meta.url).pathname;
  const reference = JSON.parse(readFileSync(golden('co2.holtwinters.json'), 'utf8'));

  test.each(['additive', 'multiplicative'])('prints the %s fit that R prints', async (seasonal) => {
    const fixed = ['--alpha', '0.3', '--beta', '0.1', '--gamma', '0.2'];
    const words = ['forecast', golden('co2.csv'), '--period', '12', '--seasonal', seasonal];
    const { code, out } = await run([...words, ...fixed, '--horizon', '24']);
    expect(code).toBe(0);
    const ours = JSON.parse(out);
    expect(Object.keys(ours)).toEqual([
      'alpha',
      'beta',
      'gamma',
      'sse',
      'level',
      'trend',
      'season',
      'forecast',
    ]);
    const r = reference[`${seasonal}_fixed`];
    const theirs = [0.3, 0.1, 0.2, r.SSE, r.level, r.trend, ...r.season, ...r.forecast_24];
    for (const [i, value] of Object.values(ours).flat().entries()) {
      expect(Math.abs((value as number) / theirs[i] - 1)).toBeLessThan(1e-8);
    }
  });

  test('searches what is not given, and forecasts one season unless told otherwise', async () => {
    const { out } = await run(['forecast', golden('co2.csv'), '--period', '12']);
    const { sse, forecast } = JSON.parse(out);
    expect(sse / reference.additive_optim.SSE).toBeLessThan(1.001);
    expect(forecast).toHaveLength(12);
  });

  test('adds bounds around the forecast on request', async () => {
    const text = `value\n${[1, 5, 2, 4, 1, 6, 2, 5, 1].join('\n')}\n`;
    const { out } = await run(['forecast', '-', '--period', '2', '--interval', '0.9'], text);
    const { lower, forecast, upper } = JSON.parse(out);
    expect(lower[1]).toBeLessThan(forecast[1]);
    expect(upper[1] - forecast[1]).toBeCloseTo(forecast[1] - lower[1], 10);
  });

  test.each([
    [['--period', '1'], 2, "'1' is invalid. Expected a whole number, at least 2."],
    [[], 2, "required option '--period <number>' not specified"],
    [['--period', '2', '--seasonal', 'multiplicitive'], 2, 'did you mean multiplicative?'],
    [['--period', '2', '--alpha', '1.1'], 2, 'Expected a share from 0 to 1.'],
    [['--period', '2', '--interval', '95'], 2, 'Expected a share between 0 and 1'],
    [['--period', '3'], 1, '5 values for a period of 3: give two periods at least'],
    [['--period', '2', '--seasonal', 'multiplicative'], 1, 'needs values above 0; use additive'],
  ])('%j ends with code %d and the reason', async (words, code, message) => {
    const path = file('timestamp,value\n1,1\n2,0\n3,1\n4,2\n5,1\n');
    const ended = await run(['forecast', path, ...words]);
    expect(ended.err).toContain(message);
    expect(ended).toMatchObject({ code, out: '' });
  });
});

describe('detect', () => {
  const start = Date.UTC(2026, 0, 1);
  const values = Array.from({ length: 2_000 }, (_, i) => (i === 1_500 ? 90 : 20 + ((i * 7) % 11)));
  const rows = values.map((value, i) => `${start + i * 300_000},${value}`);

  test.each(detectorNames)(
    '%s gives each row a score, as the detector itself does',
    async (name) => {
      const path = file(`timestamp,value\n${rows.join('\n')}\n`);
      const { code, out } = await run(['detect', path, '--detector', name]);
      const detector = createDetector(name);
      const expected = values.map((value, i) => {
        const score = detector.push(start + i * 300_000, value);
        return `${rows[i]},${score.toFixed(6)}`;
      });
      expect(out.split('\n')).toEqual(['timestamp,value,score', ...expected, '']);
      expect(code).toBe(0);
    },
  );

  test('alarms at what is unusual without being told which detector to use', async () => {
    const { out } = await run(['detect', '-'], `timestamp,value\n${rows.join('\n')}`);
    const alarms = out.split('\n').filter((row) => Number(row.split(',')[2]) >= 0.5);
    expect(alarms).toEqual([expect.stringMatching(`^${rows[1_500]},0\\.`)]);
  });

  test('takes times in words, columns in any order, quotes, and gives times back as they came', async () => {
    const text = [
      '\uFEFF"Value",host,Timestamp\r',
      '1,a,2014-07-01 00:30:00\r',
      '"2",b,2014-07-01T00:35:00.5+02:00\r',
      '\r',
      '3e1,,1404174600000',
    ].join('\n');
    const { out, code } = await run(['detect', '-'], text);
    expect(code).toBe(0);
    expect(out).toBe(
      `timestamp,value,score
2014-07-01 00:30:00,1,0.000000
2014-07-01T00:35:00.5+02:00,2,0.000000
1404174600000,3e1,0.000000
`,
    );
  });

  test.each([
    ['', 'there is no head line'],
    ['time,x\n1,2\n', "the head has no column 'value'"],
    ['timestamp,value\n1,2\n2,\n', "line 3: value '' is no finite number"],
    ['timestamp,value\n1,NaN\n', "line 2: value 'NaN' is no finite number"],
    ['timestamp,value\nyesterday,2\n', "line 2: timestamp 'yesterday' is neither"],
    ['timestamp,value\n2014-13-01,2\n', "line 2: timestamp '2014-13-01' is neither"],
    ['value\n2\n', "line 2: timestamp '' is neither"],
  ])('%j is refused with its line', async (text, message) => {
    const { code, err } = await run(['detect', file(text)]);
    expect(err).toContain(message);
    expect(err).toContain('[CSV_INVALID]');
    expect(code).toBe(1);
  });

  test('a file that is not there is a failure, a detector that is not there wrong usage', async () => {
    const missing = await run(['detect', join(directory, 'none.csv')]);
    expect(missing).toMatchObject({ code: 1, err: expect.stringContaining('[FILE_UNREADABLE]') });
    const wrong = await run(['detect', '-', '--detector', 'record']);
    expect(wrong).toMatchObject({ code: 2, err: expect.stringContaining('did you mean records?') });
  });
});
