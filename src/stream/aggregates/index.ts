/** Ready-made aggregates for windows, and what turns a closed window into a row of your own. */
export { type Closed, closed } from './closed.ts';
export { type Collected, type CollectOptions, collect } from './collect.ts';
export { combine } from './combine.ts';
export { type Count, count } from './count.ts';
export { Mean, mean } from './mean.ts';
export { moments } from './moments.ts';
export { type Sum, sum } from './sum.ts';
export { summary } from './summary.ts';
