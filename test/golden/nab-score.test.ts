import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { readColumns, readCorpus, type Series } from '../../bench/support/nab-corpus.ts';
import {
  bestThreshold,
  probationRows,
  profiles,
  rawScore,
  scoreAt,
} from '../../bench/support/nab-score.ts';
import { createDetector, type DetectorName } from '../../src/stats/index.ts';

const folder = join(import.meta.dirname, 'nab');
const corpus = readCorpus(folder);
const standard = profiles[0]!;

describe('the scorer', () => {
  const published = readColumns(join(folder, 'published_scores.csv'));
  const cases = published.file!.map((file, row) => ({
    file,
    profile: published.profile![row]!,
    threshold: Number(published.threshold![row]),
    score: Number(published.score![row]),
  }));

  test('is held against every profile and file', () => expect(cases).toHaveLength(9));

  test.each(cases)('gives $file under $profile the published $score', (each) => {
    const series = corpus.find(({ name }) => name === each.file)!;
    const by = profiles.find(({ name }) => name === each.profile)!;
    const scores = readColumns(join(folder, series.name)).anomaly_score!.map(Number);
    expect(rawScore({ series, scores }, each.threshold, by)).toBeCloseTo(each.score, 9);
  });

  test.each(profiles)('$name gives silence 0 and a report at each first row 100', (by) => {
    const silent = corpus.map((series) => ({ series, scores: series.values.map(() => 0) }));
    const perfect = silent.map(({ series, scores }) => {
      for (const { left } of series.windows) scores[left] = 1;
      return { series, scores };
    });
    expect(bestThreshold(perfect, by)).toEqual({ threshold: 1, score: expect.closeTo(100, 9) });
    expect(scoreAt(perfect, 1.1, by)).toBe(0);
  });

  test('finds the threshold that no other beats', { tags: 'heavy' }, () => {
    const all = corpus.map((series) => ({
      series,
      scores: readColumns(join(folder, series.name)).anomaly_score!.map(Number),
    }));
    for (const by of profiles) {
      const best = bestThreshold(all, by);
      expect(scoreAt(all, best.threshold, by)).toBeCloseTo(best.score, 9);
      for (const { series, scores } of all) {
        for (let row = probationRows(series); row < scores.length; row += 97) {
          expect(scoreAt(all, scores[row]!, by)).toBeLessThan(best.score + 1e-9);
        }
      }
    }
  });
});

describe('on these three series', () => {
  const scored = (name: DetectorName) =>
    corpus.map((series: Series) => {
      const detector = createDetector(name);
      const scores = series.values.map((x, i) => detector.push(series.timestamps[i]!, x));
      return { series, scores };
    });

  test('records at its own alarm threshold is far ahead of z-score at its best', () => {
    expect(scoreAt(scored('records'), 0.5, standard)).toBeGreaterThan(68);
    expect(bestThreshold(scored('z-score'), standard).score).toBeLessThan(60);
  });
});
