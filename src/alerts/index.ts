/** Alerts: rules, how they stand, silences and acknowledgements, and who is told of them. */
export { AlertBook } from './book.ts';
export { defaultRules, measures } from './default-rules.ts';
export { describeRule } from './describe-rule.ts';
export * from './topics.ts';
