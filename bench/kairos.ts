/**
 * KairosDB and Tidemark side by side: `npm run bench -- kairos [ingest|query]  [options]`; without a name all parts run
 * with their defaults.
 */
const parts = ['ingest', 'query'] as const;

const [, , name] = process.argv;
const named = parts.find((part) => part === name);
if (named !== undefined) process.argv.splice(2, 1);
for (const part of named === undefined ? parts : [named]) await import(`./kairos/${part}.ts`);
