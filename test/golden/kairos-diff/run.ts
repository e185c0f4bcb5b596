/**
 * Runs kairos-diff seed by seed and judges what it finds: each query that was answered differently is asked again, of
 * the reference several times, and is a tie or a difference (ties.ts). Ends with 1 when there is a difference.
 *
 *   node test/golden/kairos-diff/run.ts --diff FILE --reference URL --candidate URL [--seeds 9101-9110] [--count 500]
 *     [--times 8] [--cases FOLDER --reference-telnet HOST:PORT --candidate-telnet HOST:PORT]
 */
import { spawn } from 'node:child_process';
import { parseArgs } from 'node:util';
import { type Answer, type PrintedDifference, printedDifferences, verdictOf } from './ties.ts';

const { values: given } = parseArgs({
  options: {
    diff: { type: 'string' },
    reference: { type: 'string' },
    candidate: { type: 'string' },
    seeds: { type: 'string', default: '9101-9110' },
    count: { type: 'string', default: '500' },
    times: { type: 'string', default: '8' },
    cases: { type: 'string' },
    'reference-telnet': { type: 'string' },
    'candidate-telnet': { type: 'string' },
  },
});
const { diff, reference, candidate } = given;
if (diff === undefined || reference === undefined || candidate === undefined)
  throw new Error('--diff FILE, --reference URL and --candidate URL are needed');
const [firstSeed, lastSeed] = given.seeds.split('-').map(Number) as [number, number?];
// biome-ignore lint/suspicious/noTemplateCurlyInString: as kairos-diff writes it.
const RUN = '${run}';
const times = Number(given.times);

async function compared(parameters: readonly string[]): Promise<string> {
  const sides = ['--reference', reference as string, '--candidate', candidate as string];
  const child = spawn(
    process.execPath,
    [diff as string, ...sides, '--show', '1000000', ...parameters],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    output += part;
  });
  await new Promise((resolve) => child.once('close', resolve));
  if (!/^\d+ same, \d+ differ of \d+/m.test(output))
    throw new Error(`kairos-diff did not end well: ${output.slice(-2_000)}`);
  return output;
}

async function ask(url: string, path: string, body: string): Promise<Answer> {
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(`${url}${path}`, { method: 'POST', headers, body });
  const text = await response.text();
  try {
    return { status: response.status, body: JSON.parse(text) };
  } catch {
    return { status: response.status, body: text };
  }
}

/** The names of the newest run with this seed end in `r` for the reference and in `c` for the candidate. */
async function runNames(seed: number): Promise<{ readonly theirs: string; readonly ours: string }> {
  const newest = async (url: string, side: string) => {
    const response = await fetch(`${url}/api/v1/metricnames?prefix=fz${seed}_`);
    const { results } = (await response.json()) as { results: string[] };
    const runs = results.map((name) => name.split('.')[0] as string);
    const last = runs
      .filter((run) => run.endsWith(side))
      .sort()
      .at(-1);
    if (last === undefined) throw new Error(`${url} has no metrics of seed ${seed}`);
    return last;
  };
  return {
    theirs: await newest(reference as string, 'r'),
    ours: await newest(candidate as string, 'c'),
  };
}

/** With the names of a run taken out again. */
const without = (run: string, { status, body }: Answer): Answer => ({
  status,
  body: JSON.parse(JSON.stringify(body).replaceAll(run, RUN)),
});

async function judge(
  { path, body }: PrintedDifference,
  names: Awaited<ReturnType<typeof runNames>>,
) {
  if (body === undefined) return 'difference';
  const put = (run: string) => body.replaceAll(RUN, run);
  const { theirs, ours } = names;
  const own = without(ours, await ask(candidate as string, path, put(ours)));
  const answers: Answer[] = [];
  for (let time = 0; time < times; time++)
    answers.push(without(theirs, await ask(reference as string, path, put(theirs))));
  return verdictOf(own, answers);
}

const totals = { asked: 0, ties: 0, differences: 0 };
const count = (output: string) => {
  totals.asked += Number(/ differ of (\d+)/.exec(output)?.[1]);
};
if (given.cases !== undefined) {
  const telnet = ['reference-telnet', 'candidate-telnet'] as const;
  const addresses = telnet.flatMap((name) => {
    const address = given[name];
    // kairos-diff leaves out what it can't ask, and says so only in passing.
    if (address === undefined) throw new Error(`--cases needs --${name} HOST:PORT`);
    return [`--${name}`, address];
  });
  const output = await compared(['--count', '0', '--cases', given.cases, ...addresses]);
  count(output);
  totals.differences += printedDifferences(output).length;
  process.stdout.write(`cases: ${output}`);
}
for (let seed = firstSeed; seed <= (lastSeed ?? firstSeed); seed++) {
  const output = await compared(['--seed', `${seed}`, '--count', given.count]);
  count(output);
  const found = printedDifferences(output);
  process.stdout.write(`seed ${seed}: ${output.trimEnd().split('\n').at(-1)}\n`);
  const names = found.length > 0 ? await runNames(seed) : { theirs: '', ours: '' };
  for (const each of found) {
    const verdict = await judge(each, names);
    if (verdict === 'difference') totals.differences++;
    else totals.ties++;
    process.stdout.write(`  ${verdict}: ${each.label} ${each.body ?? 'cut off in print'}\n`);
  }
}
process.stdout.write(
  `${totals.asked} asked, ${totals.differences} differ, ${totals.ties} differ by the order of texts of one millisecond\n`,
);
process.exit(totals.differences > 0 ? 1 : 0);
