/** All aggregators by their names in a query. To add one, write its file and name it here. */
import type { AggregatorKind } from './aggregator.ts';
import { avg } from './avg.ts';
import { count } from './count.ts';
import { dev } from './dev.ts';
import { diff } from './diff.ts';
import { div } from './div.ts';
import { filter } from './filter.ts';
import { first } from './first.ts';
import { gaps } from './gaps.ts';
import { last } from './last.ts';
import { leastSquares } from './least-squares.ts';
import { max } from './max.ts';
import { min } from './min.ts';
import { percentile } from './percentile.ts';
import { rate } from './rate.ts';
import { sampler } from './sampler.ts';
import { saveAs } from './save-as.ts';
import { scale } from './scale.ts';
import { score } from './score.ts';
import { sma } from './sma.ts';
import { sum } from './sum.ts';
import { trim } from './trim.ts';

export type { Aggregator, AggregatorKind, GroupFrame, QueryFrame } from './aggregator.ts';
export { passes } from './aggregator.ts';

export const aggregators: ReadonlyMap<string, AggregatorKind> = new Map(
  [
    avg,
    count,
    dev,
    diff,
    div,
    filter,
    first,
    gaps,
    last,
    leastSquares,
    max,
    min,
    percentile,
    rate,
    sampler,
    saveAs,
    scale,
    score,
    sma,
    sum,
    trim,
  ].map((kind) => [kind.name, kind]),
);
