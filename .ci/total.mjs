/**
 * Adds up vitest's JSON reports: node .ci/total.mjs FOLDER [FAILED_STAGE…]. A test that ran in several reports
 * counts once, as failed if it ever failed. A file that does not load counts as one failure, and so does a
 * stage that failed though nothing in its own report (STAGE.json) did: lint, a time limit, a server.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';

const [folder, ...failedStages] = process.argv.slice(2);
/** The worst that became of each test; running beats being skipped. */
const outcomes = new Map();
const severity = ['skipped', 'passed', 'failed'];
const stagesWithFailures = new Set();

for (const name of readdirSync(folder).filter((name) => name.endsWith('.json'))) {
  const note = (test, outcome) => {
    const before = outcomes.get(test) ?? 'skipped';
    outcomes.set(test, severity.indexOf(outcome) > severity.indexOf(before) ? outcome : before);
    if (outcome === 'failed') stagesWithFailures.add(name.replace('.json', ''));
  };
  for (const file of JSON.parse(readFileSync(join(folder, name), 'utf8')).testResults) {
    const path = relative(process.cwd(), file.name);
    for (const { fullName, status } of file.assertionResults) {
      note(`${path} > ${fullName}`, severity.includes(status) ? status : 'skipped');
    }
    const hasFailure = file.assertionResults.some(({ status }) => status === 'failed');
    if (file.status === 'failed' && !hasFailure) {
      note(`${path}: ${(file.message ?? '').split('\n')[0]}`, 'failed');
    }
  }
}

for (const stage of failedStages) {
  if (!stagesWithFailures.has(stage)) outcomes.set(`stage ${stage}`, 'failed');
}
if (outcomes.size === 0) outcomes.set('no test ran', 'failed');
for (const [test, outcome] of outcomes) if (outcome === 'failed') console.log(`failed: ${test}`);

const count = (wanted) => [...outcomes.values()].filter((outcome) => outcome === wanted).length;
if (count('skipped') > 0) console.log(`${count('skipped')} skipped`);
console.log(`${count('passed')} passed, ${count('failed')} failed`);
process.exitCode = count('failed') > 0 ? 1 : 0;
