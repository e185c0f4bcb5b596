/**
 * Prometheus itself, and its own tool, on what we ship for it: its configuration and rules, and the dashboard's
 * queries. Every metric that a rule asks for is one that we have.
 */
import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { simulateVotes } from '../../src/collect/index.ts';
import { systemClock } from '../../src/runtime/index.ts';
import { filesBelow, projectRoot } from '../house/source.ts';
import { temporaryDirectory } from '../support/embedded-broker.ts';
import { EngineProcess, getJson } from '../support/engine-process.ts';
import { freePorts } from '../support/servers/ports.ts';

const run = promisify(execFile);
const folder = join(projectRoot, 'deploy/prometheus');

function hasPromtool(): boolean {
  try {
    execFileSync('promtool', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    const message = 'no promtool: apt-get install prometheus';
    if (process.env.REQUIRE_SERVERS === '1') throw new Error(`REQUIRE_SERVERS=1, but ${message}`);
    process.stderr.write(`skipped: ${message}\n`);
    return false;
  }
}

describe.skipIf(!hasPromtool())('promtool', () => {
  const promtool = (...words: string[]) => run('promtool', words, { cwd: folder });

  test('takes the configuration and the rules', async () => {
    const { stdout } = await promtool('check', 'config', 'prometheus.yml');
    expect(stdout).toContain('SUCCESS');
    expect(stdout).toContain('6 rules found');
  });

  test('sees each alert fire on what it is for, and only then', async () => {
    const { stdout } = await promtool('test', 'rules', 'alerts.test.yml');
    expect(stdout).toContain('SUCCESS');
  });
});

interface Rule {
  readonly alert: string;
  readonly expr: string;
}
const rules = (
  parse(readFileSync(join(folder, 'alerts.yml'), 'utf8')) as { groups: { rules: Rule[] }[] }
).groups.flatMap((group) => group.rules);

/** Expressions of the dashboard of the engine itself, those of one panel named alike. */
const panels = (
  JSON.parse(readFileSync(join(projectRoot, 'deploy/grafana/dashboards/engine.json'), 'utf8')) as {
    panels: { title: string; targets?: { expr?: string }[] }[];
  }
).panels.flatMap(({ title, targets = [] }) =>
  targets.flatMap(({ expr }) => (expr === undefined ? [] : [{ title, expr }])),
);

/** What they count has no series before it happens the first time; promtool's test makes some. */
const ONLY_IN_TROUBLE = ['TidemarkPointsRejected', 'TidemarkTasksRestart'];

interface Answer {
  readonly data: { readonly result: readonly { readonly value: readonly [number, string] }[] };
}

/** Resolves with its address, once it takes requests. What we ship, but scraping `target`, and often. */
async function startPrometheus(target: string): Promise<string> {
  const directory = await temporaryDirectory();
  const shipped = parse(readFileSync(join(folder, 'prometheus.yml'), 'utf8'));
  const often = { scrape_interval: '500ms', evaluation_interval: '500ms' };
  const [job] = shipped.scrape_configs;
  const config = {
    ...shipped,
    global: { ...shipped.global, ...often },
    rule_files: [join(folder, 'alerts.yml')],
    scrape_configs: [{ ...job, static_configs: [{ targets: [target] }] }],
  };
  await writeFile(join(directory, 'prometheus.yml'), stringify(config));
  const { prometheus: port } = await freePorts(['prometheus']);
  const child = spawn(
    'prometheus',
    [
      '--config.file=prometheus.yml',
      '--storage.tsdb.path=data',
      '--log.level=error',
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { cwd: directory, stdio: ['ignore', 'inherit', 'inherit'] },
  );
  const ended = once(child, 'close');
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  const url = `http://127.0.0.1:${port}`;
  const isReady = async () => (await fetch(`${url}/-/ready`).catch(() => undefined))?.ok === true;
  while (!(await isReady())) {
    if (child.exitCode !== null) throw new Error(`prometheus ended with ${child.exitCode}`);
    await systemClock.sleep(50);
  }
  return url;
}

describe.skipIf(!hasPromtool())('Prometheus, scraping an engine', () => {
  test('has values for every query of the dashboard and every rule, and the alert when the engine is gone', async () => {
    const engine = EngineProcess.forThisTest({ data: await temporaryDirectory() });
    const url = await engine.url();
    const prometheus = await startPrometheus(url.replace('http://', ''));
    const ask = async (expr: string) => {
      const query = expr.replaceAll('$__rate_interval', '1m');
      return getJson<Answer>(`${prometheus}/api/v1/query?query=${encodeURIComponent(query)}`);
    };
    const valuesOf = async (expr: string) =>
      (await ask(expr)).data.result.map(({ value }) => Number(value[1]));
    const votes = simulateVotes({ seed: 3, startMs: systemClock.now() });
    const publish = async () => {
      const lines = Array.from({ length: 100 }, () => `${votes.next().value?.value}\n`);
      const answer = await fetch(`${url}/v1/topics/votes/records`, {
        method: 'POST',
        headers: { 'content-type': 'application/x-ndjson' },
        body: `${lines.join('')}{"validator":"without slots"}\n`,
      });
      expect(answer.status).toBe(200);
    };
    /** A rate is of two scrapes between which something happened. */
    const eventually = (
      expr: string,
      check: (values: readonly number[]) => boolean,
      meanwhile = publish,
    ) =>
      expect
        .poll(
          async () => {
            await meanwhile();
            return check(await valuesOf(expr));
          },
          { timeout: 60_000, interval: 200, message: expr },
        )
        .toBe(true);
    /** Quantiles of what has not happened yet are NaN. */
    const some = (values: readonly number[]) => values.some(Number.isFinite);

    expect(panels.length).toBeGreaterThan(12);
    for (const { expr } of panels) await eventually(expr, some);
    await eventually(
      `sum(rate(stream_records_processed_total{topology="vote-latency"}[1m])) > 0`,
      some,
    );

    // What a rule compares with its limit is there to be compared.
    expect(rules.length).toBe(6);
    for (const { alert, expr } of rules) {
      if (ONLY_IN_TROUBLE.includes(alert)) continue;
      const [measured = ''] = expr.split(/ (?:==|>|<|and) /);
      await eventually(measured, some);
    }
    const { data } = await getJson<{
      data: { groups: { rules: { name: string; health: string; state: string }[] }[] };
    }>(`${prometheus}/api/v1/rules`);
    const judged = data.groups.flatMap((group) => group.rules);
    expect(judged.map(({ name }) => name)).toEqual(rules.map(({ alert }) => alert));
    expect(judged.filter(({ health, state }) => health !== 'ok' || state !== 'inactive')).toEqual(
      [],
    );

    await engine.kill();
    await eventually((rules[0] as Rule).expr, some, async () => {});
  });
});

test('rules ask only for metrics that the product declares', () => {
  const declared = new Set(
    filesBelow('src').flatMap(({ text }) =>
      [...text.matchAll(/\b(?:counter|gauge|histogram)\(\s*'([a-z_]+)'/g)].map(([, name]) => name),
    ),
  );
  expect(declared.size).toBeGreaterThan(20);
  const asked = rules.flatMap(
    ({ expr }) => expr.match(/\b(?:delivery|stream|broker|api|kafka)_[a-z_]+/g) ?? [],
  );
  expect(asked.length).toBeGreaterThan(4);
  expect(asked.filter((name) => !declared.has(name.replace(/_bucket$/, '')))).toEqual([]);
});
