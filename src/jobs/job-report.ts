/** What became of a job, as JSON and as text for people. */
import type { JobFailure, JobKind, JobReport, JobView, Json, UnitOutcome } from './contract.ts';
import type { JobStore } from './job-store.ts';

/** Failures, notes and results shown, at most; the counts tell how many there are. */
const SHOWN_MAX = 1_000;

export function reportOf(view: JobView, store: JobStore, kind: JobKind | undefined): JobReport {
  const failures: JobFailure[] = [];
  for (const { failure } of store.units(view.id, 'failed')) {
    if (failure !== undefined && failures.length < SHOWN_MAX) failures.push(failure);
  }
  const notes: string[] = [];
  let noteCount = 0;
  const results: { unit: string; result: Json }[] = [];
  for (const { name, outcome } of store.units(view.id, 'done')) {
    noteCount += outcome?.notes?.length ?? 0;
    for (const note of outcome?.notes ?? []) if (notes.length < SHOWN_MAX) notes.push(note);
    if (outcome?.result !== undefined && results.length < SHOWN_MAX) {
      results.push({ unit: name, result: outcome.result });
    }
  }
  const summary = kind?.summary?.(outcomes(view, store)) ?? [];
  return { ...view, failures, notes, noteCount, results, summary };
}

function* outcomes(view: JobView, store: JobStore): Generator<UnitOutcome> {
  for (const { outcome } of store.units(view.id, 'done')) if (outcome) yield outcome;
}

const LINES_MAX = 20;

/** Some lines, the last without a line end. */
export function reportText(report: JobReport): string {
  const { kind, title, state, units, progress, noun, failures, notes, noteCount, error } = report;
  const lines = [
    `${kind} ${title}: ${state}`,
    `  ${progress.done} ${noun} in ${units.done} of ${units.total} units${units.failed > 0 ? `, ${units.failed} failed` : ''}`,
    ...report.summary.map((line) => `  ${line}`),
  ];
  if (error !== null) lines.push(`  ${error.message} [${error.code}]`);
  const list = (heading: string, all: number, shown: readonly string[]) => {
    if (all === 0) return;
    lines.push(`  ${heading}:`, ...shown.slice(0, LINES_MAX).map((line) => `    ${line}`));
    if (all > LINES_MAX) lines.push(`    and ${all - LINES_MAX} more; the JSON report lists them`);
  };
  list(
    'failed units',
    units.failed,
    failures.map((f) => `${f.unit}: ${f.message} [${f.code}] after ${f.attempts} attempts`),
  );
  list('to be known', noteCount, notes);
  return lines.join('\n');
}
