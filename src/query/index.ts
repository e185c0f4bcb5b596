/** KairosDB's queries: read and checked as it does, answered with its numbers and in its JSON. */
export { QueryFailed, QueryRefused } from './errors.ts';
export { featuresText, featureText } from './features.ts';
export { gsonText } from './json/gson-text.ts';
export { javaDoubleOf, javaLongOf, truncatedLongOf } from './json/java-number.ts';
export { JsonFault, JsonReader } from './json/json-reader.ts';
export { quote } from './json/json-text.ts';
export * from './json/json-value.ts';
export { type MetricQuery, parseQuery, type Query } from './parse/query.ts';
export { type DeskLimits, QueryDesk, withoutSecrets } from './query-desk.ts';
export * from './rollups/index.ts';
export { type QueryOutcome, runQuery, runTagsQuery } from './run-query.ts';
export type * from './store.ts';
export { rowQueryOf } from './tag-filters.ts';
