/** Prometheus' own tool on what we ship for it; and every metric that a rule asks for is one that we have. */
import { execFile, execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { filesBelow, projectRoot } from '../house/source.ts';

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

test('rules ask only for metrics that the product declares', () => {
  const { groups } = parse(readFileSync(join(folder, 'alerts.yml'), 'utf8')) as {
    groups: { rules: { alert: string; expr: string }[] }[];
  };
  const declared = new Set(
    filesBelow('src').flatMap(({ text }) =>
      [...text.matchAll(/\b(?:counter|gauge|histogram)\(\s*'([a-z_]+)'/g)].map(([, name]) => name),
    ),
  );
  expect(declared.size).toBeGreaterThan(20);
  const asked = groups.flatMap(({ rules }) =>
    rules.flatMap(
      ({ expr }) => expr.match(/\b(?:delivery|stream|broker|api|kafka)_[a-z_]+/g) ?? [],
    ),
  );
  expect(asked.length).toBeGreaterThan(4);
  expect(asked.filter((name) => !declared.has(name.replace(/_bucket$/, '')))).toEqual([]);
});
