/**
 * What the detectors are worth on the Numenta Anomaly Benchmark, per profile, the threshold optimised over all files
 * given. Two more figures tell how much of that is fitted: thresholds found without the category, and without the
 * half of the files, that they are used on. `node bench/nab.ts FOLDER [--detector NAME] [--files]`.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createDetector, type DetectorName, detectorNames } from '../src/stats/index.ts';
import { mulberry32 } from '../test/support/mulberry32.ts';
import { readColumns, readCorpus, type Series } from './support/nab-corpus.ts';
import { bestThreshold, normalised, profiles, rawScore, type Scored } from './support/nab-score.ts';

const SPLITS = 40;
const standard = profiles[0]!;

const { positionals, values: flags } = parseArgs({
  allowPositionals: true,
  options: { detector: { type: 'string' }, files: { type: 'boolean', default: false } },
});
const [folder] = positionals;
const isKnown =
  flags.detector === undefined || detectorNames.some((name) => name === flags.detector);
if (folder === undefined || !isKnown)
  throw new Error(
    `usage: node bench/nab.ts FOLDER [--detector ${detectorNames.join('|')}] [--files]`,
  );

const corpus = readCorpus(folder);
const windows = corpus.reduce((sum, series) => sum + series.windows.length, 0);
console.log(`${corpus.length} files, ${windows} windows`);
checkScorer();
console.log(
  'detector            standard  low FP  low FN   threshold  by category  by halves   values/s',
);
for (const name of detectorNames) {
  if (flags.detector === undefined || flags.detector === name) report(name);
}

function report(name: DetectorName): void {
  const start = performance.now();
  const all = corpus.map((series) => judge(name, series));
  const rate =
    all.reduce((sum, { scores }) => sum + scores.length, 0) / (performance.now() - start);
  const found = profiles.map((by) => bestThreshold(all, by));
  const figures = [
    ...found.map(({ score }) => score.toFixed(2)),
    found[0]!.threshold.toFixed(4),
    acrossCategories(all).toFixed(2),
    acrossHalves(all).toFixed(2),
    `${(rate / 1_000).toFixed(2)} M`,
  ];
  const widths = [10, 8, 8, 12, 13, 11, 11];
  console.log(name.padEnd(18) + figures.map((text, i) => text.padStart(widths[i]!)).join(''));
  if (!flags.files) return;
  for (const each of all) {
    const raw = rawScore(each, found[0]!.threshold, standard);
    console.log(
      `  ${raw.toFixed(2).padStart(6)} of ${each.series.windows.length}  ${each.series.name}`,
    );
  }
}

/** One pass, in file order. */
function judge(name: DetectorName, series: Series): Scored {
  const detector = createDetector(name);
  const { timestamps, values } = series;
  return { series, scores: values.map((value, i) => detector.push(timestamps[i]!, value)) };
}

/** Every category scored with the threshold that the others would choose. */
function acrossCategories(all: readonly Scored[]): number {
  const categories = new Set(corpus.map(({ category }) => category));
  let raw = 0;
  for (const category of categories) {
    const isIn = ({ series }: Scored) => series.category === category;
    raw += heldOut(
      all.filter((each) => !isIn(each)),
      all.filter(isIn),
    ).raw;
  }
  return normalised(raw, windows, standard);
}

/** Mean over random halves, each scored with the threshold of the other. */
function acrossHalves(all: readonly Scored[]): number {
  const random = mulberry32(1);
  let sum = 0;
  for (let i = 0; i < SPLITS; i++) {
    const mixed = all
      .map((each) => ({ each, order: random() }))
      .sort((a, b) => a.order - b.order)
      .map(({ each }) => each);
    const halves = [mixed.slice(0, mixed.length >> 1), mixed.slice(mixed.length >> 1)] as const;
    for (const [chosenOn, usedOn] of [halves, [halves[1], halves[0]]] as const) {
      const { raw, count } = heldOut(chosenOn, usedOn);
      sum += count === 0 ? 0 : normalised(raw, count, standard);
    }
  }
  return sum / (2 * SPLITS);
}

function heldOut(chosenOn: readonly Scored[], usedOn: readonly Scored[]) {
  const { threshold } = bestThreshold(chosenOn, standard);
  return {
    raw: usedOn.reduce((sum, each) => sum + rawScore(each, threshold, standard), 0),
    count: usedOn.reduce((sum, { series }) => sum + series.windows.length, 0),
  };
}

/** The scorer against the benchmark's own: the stored outputs of windowedGaussian, where the folder has them. */
function checkScorer(): void {
  let published: Record<string, string[]>;
  try {
    published = readColumns(join(folder!, 'published_scores.csv'));
  } catch {
    console.log('no published_scores.csv: scorer not checked here');
    return;
  }
  let compared = 0;
  let worst = 0;
  for (const [row, detector] of published.detector!.entries()) {
    const series = corpus.find(({ name }) => name === published.file![row]);
    const by = profiles.find(({ name }) => name === published.profile![row]);
    if (detector !== 'windowedGaussian' || series === undefined || by === undefined) continue;
    let scores: number[];
    try {
      const columns = readColumns(join(folder!, detector, series.name));
      scores = columns.anomaly_score!.map(Number);
    } catch {
      continue;
    }
    const ours = rawScore({ series, scores }, Number(published.threshold![row]), by);
    worst = Math.max(worst, Math.abs(ours - Number(published.score![row])));
    compared++;
  }
  console.log(`scorer: ${compared} published raw scores met within ${worst.toExponential(1)}`);
}
