/**
 * A million points of mixed types from an InfluxDB 1.x to a 2.7: `tidemark copy-influx` beside the simplest correct
 * script, one query and one write at a time, in one run on the same servers, in turns. The script asks for a
 * measurement's fields and types, then for an hour at a time as JSON, whose numbers it takes from the text, since 64
 * bits don't fit in a double. Once it trusts what the target answers (`script`), and once it does what ours does: it
 * reads each hour back and compares it (`checkingScript`). The source's memory is its peak, of a server started anew
 * for each, with nothing left in its write-ahead log.
 *
 *   eval "$(npm run -s servers env)" && npm run bench -- copy-influx [--points N] [--rounds N] [--add]
 *
 * `--add` adds its rounds to those of the results that there are, where one run of all would take too long.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { setupBuckets } from '../src/databases/influx/index.ts';
import {
  dropBucket,
  influxCall,
  influxFromEnvironment,
  uniqueName,
} from '../test/support/influx.ts';
import { mixedLines } from '../test/support/mixed-points.ts';
import { OldInflux } from '../test/support/old-influx.ts';
import { benchArguments, required } from './support/arguments.ts';
import { noiseNow, warnOfNoise, writeResults } from './support/results.ts';

for (const name of ['INFLUX_URL', 'INFLUX_ORG', 'INFLUX_TOKEN']) required(name);
const options = benchArguments({ points: 1_000_000, rounds: 3 }, ['add']);
const points = options.number('points');
const noise = noiseNow();
warnOfNoise(noise);

const FROM_MS = Date.UTC(2024, 0, 31);
const PER_SECOND = 25;
const SETTLE_MS = 10_000;
const HOUR_NS = 3_600_000_000_000n;
const database = 'bench';
const target = influxFromEnvironment();

const old = await OldInflux.start({ storesSoon: true });
const folder = await mkdtemp(join(tmpdir(), 'tidemark-bench-copy-'));
const contestants = {
  script: (bucket: string) => copyByScript(bucket),
  checkingScript: (bucket: string) => copyByScript(bucket, { isChecked: true }),
  tidemark: copyByTidemark,
};
type Name = keyof typeof contestants;
type Run = { readonly pointsPerSecond: number; readonly sourcePeakMiB: number };
type Round = Record<Name, Run> & { readonly ratio: number; readonly ratioOfChecked: number };
const rounds: Round[] = options.flag('add') ? await roundsBefore() : [];
try {
  await old.query(`CREATE DATABASE ${database}`);
  for (let at = 0; at < points; at += 50_000) {
    const fromMs = FROM_MS + (at * 1_000) / PER_SECOND;
    await old.write(
      database,
      mixedLines(Math.min(50_000, points - at), { fromMs, perSecond: PER_SECOND }),
    );
  }
  await old.stored();
  for (let round = 0; round < options.number('rounds'); round++) {
    const runs: Partial<Record<Name, Run>> = {};
    for (const name of inTurn(rounds.length)) {
      await old.restart();
      const bucket = uniqueName('bench-copy');
      await setupBuckets(target, [{ name: bucket, retentionMs: 0 }]);
      const began = performance.now();
      await contestants[name](bucket);
      const seconds = (performance.now() - began) / 1_000;
      const sourceMiB = (await old.residentBytes()) / 2 ** 20;
      const stored = await count(bucket);
      if (stored !== points) throw new Error(`${name} stored ${stored} of ${points}`);
      const run = {
        pointsPerSecond: Math.round(points / seconds),
        sourcePeakMiB: Math.round(sourceMiB),
      };
      runs[name] = run;
      process.stdout.write(
        `${name}: ${run.pointsPerSecond} points/s, source's peak ${run.sourcePeakMiB} MiB\n`,
      );
      await dropBucket(target, bucket);
      // What the target still does with what is gone should not be the next one's.
      await sleep(SETTLE_MS);
    }
    const { script, checkingScript, tidemark } = runs as Record<Name, Run>;
    const over = ({ pointsPerSecond }: Run) =>
      Number((tidemark.pointsPerSecond / pointsPerSecond).toFixed(2));
    const ratios = { ratio: over(script), ratioOfChecked: over(checkingScript) };
    rounds.push({ script, checkingScript, tidemark, ...ratios });
    process.stdout.write(
      `tidemark copies and compares at ${ratios.ratioOfChecked} times the rate of a script that does both, ${ratios.ratio} times that of one that only copies\n`,
    );
  }
} finally {
  await old.stop();
  await rm(folder, { recursive: true, force: true });
}

const spread = (of: (round: Round) => number) => {
  const sorted = rounds.map(of).sort((x, y) => x - y);
  const median = sorted[Math.floor(sorted.length / 2)] as number;
  return { min: sorted[0] as number, median, max: sorted.at(-1) as number };
};
const ratio = spread((round) => round.ratio);
const ratioOfChecked = spread((round) => round.ratioOfChecked);
process.stdout.write(
  `${rounds.length} rounds: ${ratioOfChecked.min} – ${ratioOfChecked.max} (median ${ratioOfChecked.median}) and ${ratio.min} – ${ratio.max} (median ${ratio.median})\n`,
);
writeResults('copy-influx', noise, { points, ratio, ratioOfChecked, rounds });

/** Each is first, in the middle and last once in three rounds: nobody always finds the target as others left it. */
function inTurn(round: number): readonly Name[] {
  const names = Object.keys(contestants) as Name[];
  const first = round % names.length;
  return [...names.slice(first), ...names.slice(0, first)];
}

async function roundsBefore(): Promise<Round[]> {
  const file = new URL('results/copy-influx.json', import.meta.url);
  return (JSON.parse(await readFile(file, 'utf8')) as { rounds?: Round[] }).rounds ?? [];
}

async function copyByTidemark(bucket: string): Promise<void> {
  const program = fileURLToPath(new URL('../bin/tidemark', import.meta.url));
  const words = ['copy-influx', '--from', old.url, '--database', database, '--bucket', bucket];
  const child = spawn(program, [...words, '--state', join(folder, bucket)], {
    env: { ...process.env, INFLUX_TOKEN: target.token },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const code = await new Promise((resolve) => child.once('exit', resolve));
  if (code !== 0) throw new Error(`tidemark ended with ${code}`);
}

async function copyByScript(bucket: string, { isChecked = false } = {}): Promise<void> {
  const keys = async (query: string) =>
    (JSON.parse(await old.query(query, database)).results[0].series ?? []) as {
      name: string;
      values: string[][];
    }[];
  for (const { name, values: fields } of await keys('SHOW FIELD KEYS')) {
    const types = new Map(fields.map(([field, type]) => [field as string, type as string]));
    const first = BigInt(FROM_MS) * 1_000_000n;
    const end = first + (BigInt(points) * 1_000_000_000n) / BigInt(PER_SECOND) + HOUR_NS;
    for (let from = first; from < end; from += HOUR_NS) {
      const query = `SELECT * FROM "${name}" WHERE time >= ${from} AND time < ${from + HOUR_NS} GROUP BY *`;
      const lines = linesOf(await old.query(query, database), types);
      for (let at = 0; at < lines.length; at += 5_000) {
        const reply = await influxCall(
          target,
          `/api/v2/write?org=${target.org}&bucket=${bucket}&precision=ns`,
          { method: 'POST', body: lines.slice(at, at + 5_000).join('\n') },
        );
        if (reply.status !== 204) throw new Error(reply.text);
      }
      if (!isChecked) continue;
      const options = new URLSearchParams({ db: bucket, epoch: 'ns', q: query });
      const stored = await fetch(`${target.url}/query?${options}`, {
        headers: { authorization: `Token ${target.token}` },
      });
      const back = linesOf(await stored.text(), types);
      if (lines.sort().join('\n') !== back.sort().join('\n'))
        throw new Error(`${from}: other points`);
    }
  }
}

interface Series {
  readonly name: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly columns: readonly string[];
  readonly values: readonly (readonly unknown[])[];
}

function linesOf(json: string, types: ReadonlyMap<string, string>): string[] {
  // The text of each number, for those that a double can't hold.
  const exact = (_key: string, value: unknown, context?: { source?: string }) =>
    typeof value === 'number' ? (context?.source ?? String(value)) : value;
  const reply = JSON.parse(json, exact as Parameters<typeof JSON.parse>[1]) as {
    results: { series?: Series[] }[];
  };
  const escaped = (text: string) => text.replace(/[, =]/g, '\\$&');
  const lines: string[] = [];
  for (const { name, tags, columns, values } of reply.results[0]?.series ?? []) {
    const series = Object.entries(tags)
      .filter(([, value]) => value !== '')
      .map(([key, value]) => `,${escaped(key)}=${escaped(value)}`)
      .join('');
    for (const row of values) {
      const fields: string[] = [];
      for (let i = 1; i < columns.length; i++) {
        const value = row[i];
        if (value === null) continue;
        const column = columns[i] as string;
        const type = types.get(column);
        const written =
          type === 'integer'
            ? `${value}i`
            : type === 'string'
              ? `"${String(value).replace(/["\\]/g, '\\$&')}"`
              : String(value);
        fields.push(`${escaped(column)}=${written}`);
      }
      lines.push(`${name.replace(/[, ]/g, '\\$&')}${series} ${fields.join(',')} ${row[0]}`);
    }
  }
  return lines;
}

async function count(bucket: string): Promise<number> {
  const query = new URLSearchParams({ db: bucket, q: 'SELECT count(i) FROM mixed' });
  const { json } = await influxCall(target, `/query?${query}`);
  const { results } = json as { results: { series?: { values: number[][] }[] }[] };
  return results[0]?.series?.[0]?.values[0]?.[1] ?? 0;
}
